// Passwords of an htpasswd file. A client sends its password with every request, so what was right is remembered for a
// while: as a keyed hash whose key nobody else has, of the password, the user and the user's line. A changed line is
// thereby forgotten at once.
import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { CallOptions } from '../../oci/descriptor.ts'
import { SingleFlight } from '../../single-flight.ts'
import { TooManyAttemptsError } from '../access-controller.ts'
import { FailedLogins, type Login } from '../failed-logins.ts'
import type { PasswordVerifier, VerifyOptions } from '../passwords.ts'
import { WatchedFile } from '../watched-file.ts'
import { BcryptThreads } from './bcrypt-threads.ts'
import { parseHtpasswd, type Users } from './file.ts'
import { provisionHtpasswd } from './provision.ts'

export interface HtpasswdDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

const rememberedMs = 10 * 60_000
const maxRemembered = 10_000
/** Characters; longer ones are nobody's. */
const maxLength = 4096
/** bcrypt looks at no more, and neither does whatever made the hash. */
const significantBytes = 72
/** Of no password. */
const nobodysHash = 'abcdefghijklmnopqrstuuK5sdvWsFaZLe9oCYYDhIWPnqTOdmAxe'
const usualCost = '10'

export class HtpasswdVerifier implements PasswordVerifier {
  readonly #file: WatchedFile<Users>
  readonly #deps: HtpasswdDeps
  readonly #threads = new BcryptThreads()
  readonly #failedLogins: FailedLogins
  readonly #flight = new SingleFlight()
  readonly #key = randomBytes(32)
  /** When what was right was last of use. */
  readonly #remembered = new LRUCache<string, number>({ max: maxRemembered })

  private constructor(file: WatchedFile<Users>, deps: HtpasswdDeps) {
    this.#file = file
    this.#deps = deps
    this.#failedLogins = new FailedLogins(deps.clock)
  }

  /** Makes the file if it is missing; rejects if it cannot be read. */
  static async open(path: string, deps: HtpasswdDeps): Promise<HtpasswdVerifier> {
    await provisionHtpasswd(path, deps.logger)
    return new HtpasswdVerifier(
      await WatchedFile.open(path, text => parseHtpasswd(text, deps.logger), deps),
      deps,
    )
  }

  async verify(
    user: string,
    password: string,
    { signal, address = '' }: VerifyOptions = {},
  ): Promise<boolean> {
    const users = await this.#file.current()
    const hash = users.get(user)
    const proof = this.#proofOf(user, password, hash)
    if (this.#isRemembered(proof)) return true
    const login = { user, address }
    this.#check(login)
    // From several addresses it is several guesses.
    const key = `${address} ${proof}`
    return this.#flight.run(key, () => this.#compare(login, { password, hash, proof, users }), { signal })
  }

  async fingerprint(user: string, _options?: CallOptions): Promise<string | undefined> {
    return (await this.#file.current()).get(user)
  }

  close(): Promise<void> {
    return this.#threads.close()
  }

  async #compare(
    login: Login,
    asked: {
      readonly password: string
      readonly hash: string | undefined
      readonly proof: string
      readonly users: Users
    },
  ): Promise<boolean> {
    const { password, proof, users } = asked
    // An unknown user must take as long as a known one.
    const hash = asked.hash ?? `$2a$${costOf(users)}$${nobodysHash}`
    const isPossible = password !== '' && password.length <= maxLength && !password.includes('\0')
    const bytes = Uint8Array.from(Buffer.from(isPossible ? password : 'none').subarray(0, significantBytes))
    const guess = this.#failedLogins.begin(login)
    this.#deps.metrics.passwordComparisons.inc()
    try {
      const matches = await this.#threads.matches({ password: bytes, hash })
      if (!matches || !isPossible || asked.hash === undefined) {
        guess.wasWrong()
        this.#deps.metrics.authFailures.inc({ reason: 'password' })
        return false
      }
    } catch (err) {
      guess.wasNotWrong()
      throw err
    }
    guess.wasNotWrong()
    this.#remembered.set(proof, this.#deps.clock.now())
    return true
  }

  #check(login: Login): void {
    try {
      this.#failedLogins.check(login)
    } catch (err) {
      if (err instanceof TooManyAttemptsError) this.#deps.metrics.authFailures.inc({ reason: 'throttled' })
      throw err
    }
  }

  #isRemembered(proof: string): boolean {
    const nowMs = this.#deps.clock.now()
    const sinceMs = nowMs - (this.#remembered.get(proof) ?? -Infinity)
    const isRemembered = sinceMs >= 0 && sinceMs < rememberedMs
    // Who keeps coming is not compared again, and so cannot be kept out by others who guess from the same address.
    if (isRemembered) this.#remembered.set(proof, nowMs)
    return isRemembered
  }

  #proofOf(user: string, password: string, hash: string | undefined): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([user, hash ?? null, password]))
      .digest('base64')
  }
}

/** The first user's: files have one cost throughout, as a rule. */
function costOf(users: Users): string {
  const [first] = users.values()
  return first?.slice(4, 6) ?? usualCost
}
