// Says that something is served stale: once a minute for each thing, however often it is asked for.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'

export interface StaleServing {
  /** Repository, and tag or subject. */
  readonly what: string
  readonly stale: string
}

export type StaleLog = (serving: StaleServing) => void

const everyMs = 60_000

/** Remembers `maxEntries` things; of more than that, one may be named more often. */
export function createStaleLog(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  maxEntries = 2000,
): StaleLog {
  const loggedAt = new LRUCache<string, { readonly atMs: number }>({ max: maxEntries })
  return ({ what, stale }) => {
    const nowMs = clock.now()
    const last = loggedAt.get(what)
    if (last !== undefined && Math.abs(nowMs - last.atMs) < everyMs) return
    loggedAt.set(what, { atMs: nowMs })
    logger.warn({ what, stale }, 'serving what may be out of date')
  }
}
