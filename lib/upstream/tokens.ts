// Bearer tokens by what they are for: kept until shortly before they expire, fetched once however many are waiting,
// bounded in number. Failures are not kept: the next one who asks asks again.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { SingleFlight } from '../single-flight.ts'

export interface Token {
  readonly value: string
  readonly expiresAtMs: number
}

const maxTokens = 1_000

export class Tokens {
  readonly #clock: Clock
  readonly #kept = new LRUCache<string, Token>({ max: maxTokens })
  readonly #fetches = new SingleFlight()

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  /** The kept token, if it has not expired. */
  peek(key: string): Token | undefined {
    const token = this.#kept.get(key)
    return token === undefined || token.expiresAtMs <= this.#clock.now() ? undefined : token
  }

  /** Lets go of a token that was refused, unless another has taken its place. */
  forget(key: string, value: string): void {
    if (this.#kept.peek(key)?.value === value) this.#kept.delete(key)
  }

  /**
   * The result of `fetch`, shared by all who ask for the same key meanwhile. Aborting `signal` ends the waiting only,
   * since others may wait as well; `fetch` has to end by itself.
   */
  async fetch(key: string, fetch: () => Promise<Token>, options: CallOptions = {}): Promise<Token> {
    const keep = async () => {
      const token = await fetch()
      this.#kept.set(key, token)
      return token
    }
    return await this.#fetches.run(key, keep, options)
  }
}
