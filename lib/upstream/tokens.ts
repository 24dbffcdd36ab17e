// Bearer tokens by what they are for: kept and renewed each by itself (credentials/renewed.ts), bounded in number.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { Renewed, type Perishable } from './credentials/renewed.ts'
import { UpstreamError } from './errors.ts'

export interface TokensDeps {
  /** Name of the upstream. */
  readonly upstream: string
  readonly clock: Clock
  readonly logger: Logger
}

const maxTokens = 1_000

export class Tokens {
  readonly #deps: TokensDeps
  readonly #byKey = new LRUCache<string, Renewed<string>>({ max: maxTokens })

  constructor(deps: TokensDeps) {
    this.#deps = deps
  }

  /** The token of one key, which has to name all that `fetch` asks for. A denial is given again for 5 s. */
  of(key: string, fetch: () => Promise<Perishable<string>>): Renewed<string> {
    let token = this.#byKey.get(key)
    if (token === undefined) {
      const { upstream, clock, logger } = this.#deps
      token = new Renewed({
        fetch,
        clock,
        isFinal: err => err instanceof UpstreamError && err.failure === 'denied',
        onLate: err =>
          logger.warn({ upstream, err }, 'cannot renew token: going on with the one that is kept'),
      })
      this.#byKey.set(key, token)
    }
    return token
  }
}
