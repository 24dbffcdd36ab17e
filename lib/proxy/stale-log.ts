// Says that something is served stale: once a minute for each thing, however often it is asked for.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'

export interface StaleServing {
  /** Repository, and tag or subject. */
  readonly what: string
  readonly stale: string
  /** The manifest that a tag still means here; absent for lists. */
  readonly served?: StaleTag | undefined
}

export interface StaleTag {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly descriptor: Descriptor
}

export type StaleLog = (serving: StaleServing) => void

export interface StaleLogDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Hears of tags, as often as it is said. */
  readonly onStale?: ((served: StaleTag) => void) | undefined
}

const everyMs = 60_000

/** Remembers `maxEntries` things; of more than that, one may be named more often. */
export function createStaleLog({ clock, logger, onStale }: StaleLogDeps, maxEntries = 2000): StaleLog {
  const loggedAt = new LRUCache<string, { readonly atMs: number }>({ max: maxEntries })
  return ({ what, stale, served }) => {
    const nowMs = clock.now()
    const last = loggedAt.get(what)
    if (last !== undefined && Math.abs(nowMs - last.atMs) < everyMs) return
    loggedAt.set(what, { atMs: nowMs })
    logger.warn({ what, stale }, 'serving what may be out of date')
    if (served !== undefined) onStale?.(served)
  }
}
