// What an upstream said that a repository lists (tags, referrers), remembered for a while, and longer where it cannot
// be asked. In memory only: after a restart it is asked once more.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Provenance } from '../registry/registry.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { FreshnessPolicy } from './freshness.ts'
import type { Questions } from './questions.ts'
import { revalidated, type Fetched } from './revalidation.ts'
import type { StaleLog } from './stale-log.ts'

export interface UpstreamListsDeps {
  readonly clock: Clock
  readonly questions: Questions
  readonly logStale: StaleLog
  readonly offline?: boolean | undefined
  /** Of all lists that are remembered. Default 32 MiB. */
  readonly maxBytes?: number | undefined
}

/** `items` is undefined where the upstream says that it has no such repository, or lets us see none. */
export interface UpstreamList<T> extends Provenance {
  readonly items: readonly T[] | undefined
}

/** A list as it is asked for. */
export interface ListQuestion<T> {
  /** Names the list among all, and with it the type of its items. */
  readonly key: string
  readonly upstream: Upstream
  readonly freshness: FreshnessPolicy
  readonly ask: () => Promise<readonly T[]>
}

interface Known<T> {
  readonly value: readonly T[]
  readonly checkedAtMs: number
  readonly bytes: number
}

export class UpstreamLists<T> {
  readonly #deps: UpstreamListsDeps
  readonly #known: LRUCache<string, Known<T>>

  constructor(deps: UpstreamListsDeps) {
    this.#deps = deps
    this.#known = new LRUCache({
      maxSize: deps.maxBytes ?? 32 * 1024 * 1024,
      sizeCalculation: ({ bytes }, key) => bytes + key.length + 256,
    })
  }

  /**
   * The list; it is asked for once for all who wait. An upstream in trouble is covered by what it said before, which is
   * marked stale then; UpstreamError where it has said nothing yet.
   */
  async get(question: ListQuestion<T>, options?: CallOptions): Promise<UpstreamList<T>> {
    const { key, upstream, freshness } = question
    const known = this.#known.get(key)
    const subject = {
      question: { key, upstream, ask: () => this.#ask(question) },
      freshness,
      ttlMs: freshness.ttlMs,
      known,
    }
    try {
      const { value, ...provenance } = await revalidated(subject, this.#deps, options)
      if (provenance.stale !== undefined) this.#deps.logStale({ what: key, stale: provenance.stale })
      return { items: value, ...provenance }
    } catch (err) {
      if (!(err instanceof UpstreamError)) throw err
      // A refusal is no news where nothing else was ever said: Docker Hub refuses what it does not know.
      if (err.failure === 'unknown' || (err.failure === 'denied' && known === undefined)) {
        return { items: undefined }
      }
      this.#deps.logStale({ what: key, stale: `upstream ${err.upstream} ${err.failure}` })
      throw err
    }
  }

  async #ask({ key, ask }: ListQuestion<T>): Promise<Fetched<readonly T[]>> {
    const value = await ask()
    const bytes = JSON.stringify(value).length
    this.#known.set(key, { value, checkedAtMs: this.#deps.clock.now(), bytes })
    return { value, cache: 'MISS' }
  }
}
