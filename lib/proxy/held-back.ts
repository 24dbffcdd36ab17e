// Says and counts that a tag's newest digest is held back, or would be: once for each digest, however often it is asked
// for.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Tag } from '../oci/reference.ts'
import type { MirroredTag } from '../storage/mirrored-tags.ts'
import type { Route } from './routing.ts'
import { preferred } from './tag-history.ts'

/** A digest that a cooldown keeps from being served, or would keep if it did more than watch. */
export interface CooldownEvent {
  readonly kind: 'cooldown'
  readonly outcome: 'held-back' | 'audited'
  /** Name. */
  readonly upstream: string
}

export interface HeldBackDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly observe: (event: CooldownEvent) => void
}

export class HeldBack {
  readonly #deps: HeldBackDeps
  readonly #noted: LRUCache<string, true>

  /** Remembers `maxEntries` digests; of more than that, one may be named again. */
  constructor(deps: HeldBackDeps, maxEntries = 2000) {
    this.#deps = deps
    this.#noted = new LRUCache({ max: maxEntries })
  }

  /** Looks whether what the upstream says of a tag is too young. */
  note({ upstream, stored, freshness: { cooldown } }: Route, tag: Tag, record: MirroredTag): void {
    if (cooldown === undefined || cooldown.exempts(tag)) return
    const { clock, logger, observe } = this.#deps
    const allowed = preferred(record, cooldown, clock.now())
    if (allowed === record.digest) return
    const key = `${stored}:${tag}@${record.digest}`
    if (this.#noted.has(key)) return
    this.#noted.set(key, true)
    const fields = { upstream: upstream.name, repository: stored, tag, digest: record.digest, allowed }
    if (cooldown.auditOnly) logger.info(fields, 'a tag moved to a digest that a cooldown would hold back')
    else logger.info(fields, 'a tag’s new digest is held back by the cooldown')
    observe({
      kind: 'cooldown',
      outcome: cooldown.auditOnly ? 'audited' : 'held-back',
      upstream: upstream.name,
    })
  }
}
