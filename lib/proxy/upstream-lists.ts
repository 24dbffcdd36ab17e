// What an upstream said that a repository lists (tags, referrers), remembered for a while, and longer where it cannot
// be asked. In memory only: after a restart it is asked once more.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Staleness } from '../registry/registry.ts'
import { SingleFlight } from '../single-flight.ts'
import { UpstreamError } from '../upstream/errors.ts'
import { judge } from './freshness.ts'

export interface UpstreamListsDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** How long a list is used without asking again, milliseconds. */
  readonly ttlMs: number
  /** Of all lists that are remembered. Default 32 MiB. */
  readonly maxBytes?: number | undefined
}

/** `items` is undefined where the upstream says that it has no such repository, or lets us see none. */
export interface UpstreamList<T> extends Staleness {
  readonly items: readonly T[] | undefined
}

interface Known<T> {
  readonly items: readonly T[] | undefined
  readonly checkedAtMs: number
  readonly bytes: number
}

export class UpstreamLists<T> {
  readonly #deps: UpstreamListsDeps
  readonly #known: LRUCache<string, Known<T>>
  readonly #questions = new SingleFlight()

  constructor(deps: UpstreamListsDeps) {
    this.#deps = deps
    this.#known = new LRUCache({
      maxSize: deps.maxBytes ?? 32 * 1024 * 1024,
      sizeCalculation: ({ bytes }, key) => bytes + key.length + 256,
    })
  }

  /**
   * The list under `key`; `question` is asked once for all who wait. An upstream in trouble is covered by what it said
   * before, which is marked stale then; UpstreamError where it has said nothing yet.
   */
  async get(
    key: string,
    question: () => Promise<readonly T[]>,
    options?: CallOptions,
  ): Promise<UpstreamList<T>> {
    const { clock, logger, ttlMs } = this.#deps
    const known = this.#known.get(key)
    if (known !== undefined && judge(known, ttlMs, clock.now()) === 'fresh') return { items: known.items }
    try {
      return { items: await this.#questions.run(key, () => this.#ask(key, question), options) }
    } catch (err) {
      if (!(err instanceof UpstreamError)) throw err
      logger.warn({ err, list: key }, 'cannot ask an upstream for a list')
      if (known === undefined) throw err
      return { items: known.items, stale: staleness(err) }
    }
  }

  async #ask(key: string, question: () => Promise<readonly T[]>): Promise<readonly T[] | undefined> {
    let items: readonly T[] | undefined
    try {
      items = await question()
    } catch (err) {
      // A refusal is no news where nothing else was ever said: Docker Hub refuses what it does not know.
      const isUnknown =
        err instanceof UpstreamError &&
        (err.failure === 'unknown' ||
          (err.failure === 'denied' && this.#known.peek(key)?.items === undefined))
      if (!isUnknown) throw err
    }
    const bytes = items === undefined ? 0 : JSON.stringify(items).length
    this.#known.set(key, { items, checkedAtMs: this.#deps.clock.now(), bytes })
    return items
  }
}

/** Why what is given may be out of date. */
export function staleness({ upstream, failure }: UpstreamError): string {
  return `upstream ${upstream} ${failure}`
}
