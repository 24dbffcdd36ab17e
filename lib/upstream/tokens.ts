// Bearer tokens by what they are for: kept until shortly before they expire, fetched once however many are waiting, bounded in
// number. Failures are not kept: the next one who asks asks again.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { abortable } from '../keyed-lock.ts'
import type { CallOptions } from '../oci/descriptor.ts'

export interface Token {
  readonly value: string
  readonly expiresAtMs: number
}

const maxTokens = 1_000

export class Tokens {
  readonly #clock: Clock
  readonly #kept = new LRUCache<string, Token>({ max: maxTokens })
  readonly #pending = new Map<string, Promise<Token>>()

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
  async fetch(key: string, fetch: () => Promise<Token>, { signal }: CallOptions = {}): Promise<Token> {
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      pending = this.#keep(key, fetch)
      // Everybody who waited may have left by the time it fails.
      pending.catch(() => {})
      this.#pending.set(key, pending)
    }
    return await abortable(pending, signal)
  }

  async #keep(key: string, fetch: () => Promise<Token>): Promise<Token> {
    try {
      const token = await fetch()
      this.#kept.set(key, token)
      return token
    } finally {
      this.#pending.delete(key)
    }
  }
}
