// The keys over time. No process is in charge: each works out from the ages of the keys, which all of them see, who
// signs and what may go.
//
// 1. A key is made when the newest is `rotationMs` old. Until it is `leadMs` old it is published and signs nothing, so
//    that whoever keeps a copy of the public keys has it by then.
// 2. The newest key older than that signs. Where there is none (the first start), the oldest does.
// 3. A key that another has followed stays until the last token it signed has expired, and is then removed.
//
// Two processes may make a key at the same moment: both are published, and the newer signs.
import type { JSONWebKeySet } from 'jose'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import { SingleFlight } from '../../single-flight.ts'
import type { KeyStore } from './key-store.ts'
import { generateKey, type SigningKey } from './signing-key.ts'

export interface KeyRingOptions {
  readonly store: KeyStore
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn' | 'info'>
  readonly rotationMs: number
  /** The longest life of what is signed. */
  readonly longestLifeMs: number
}

/** How long public keys may be kept by those who fetch them. */
export const publishedForMs = 5 * 60_000
const longestLeadMs = 2 * publishedForMs
/** What verifiers allow clocks to differ by. */
const leewayMs = 60_000
/** How old what was read may be; must be shorter than `leadMs`. */
const longestUnreadMs = 60_000
/** Anybody can send tokens with a `kid` made up: they must not keep us reading the directory. */
const betweenUnknownMs = 1000

export class KeyRing {
  readonly #options: KeyRingOptions
  readonly #leadMs: number
  readonly #flights = new SingleFlight()
  #keys: readonly SigningKey[] = []
  #readAtMs = -Infinity
  #unknownAtMs = -Infinity

  private constructor(options: KeyRingOptions) {
    this.#options = options
    this.#leadMs = leadFor(options.rotationMs)
  }

  /** Reads the keys, and makes the first. */
  static async open(options: KeyRingOptions): Promise<KeyRing> {
    const ring = new KeyRing(options)
    await ring.#turn()
    return ring
  }

  /** Reads the keys, and neither makes nor removes any. Rejects where there are none. */
  static async openToSign(options: KeyRingOptions): Promise<Pick<KeyRing, 'signer' | 'find'>> {
    const { store, clock, rotationMs } = options
    const keys = oldestFirst(await store.read())
    const signer = signerAt(keys, clock.now(), leadFor(rotationMs))
    if (signer === undefined)
      throw new Error('Cannot sign token: no key is there, a registry makes them when it starts')
    return { signer: async () => signer, find: async kid => keys.find(key => key.kid === kid) }
  }

  /** The key that signs now. */
  async signer(): Promise<SigningKey> {
    await this.#keepUp()
    const signer = signerAt(this.#keys, this.#options.clock.now(), this.#leadMs)
    if (signer === undefined) throw new Error('Cannot sign token: there is no key')
    return signer
  }

  /** The key with this id. One that is not known may be another process's new one. */
  async find(kid: string): Promise<SigningKey | undefined> {
    const known = this.#find(kid)
    if (known !== undefined) return known
    const nowMs = this.#options.clock.now()
    // Who comes while the directory is being read shares that.
    if (nowMs - this.#unknownAtMs >= betweenUnknownMs || nowMs < this.#unknownAtMs) {
      this.#unknownAtMs = nowMs
      await this.#tryTurn()
    }
    return this.#find(kid)
  }

  /** The public keys. */
  async published(): Promise<JSONWebKeySet> {
    await this.#keepUp()
    return { keys: this.#keys.map(({ publicJwk }) => publicJwk) }
  }

  #find(kid: string): SigningKey | undefined {
    return this.#keys.find(key => key.kid === kid)
  }

  async #keepUp(): Promise<void> {
    const { clock } = this.#options
    const ageMs = clock.now() - this.#readAtMs
    if (ageMs < 0 || ageMs >= Math.min(longestUnreadMs, this.#leadMs / 2)) await this.#tryTurn()
  }

  /** What is known goes on being used while the directory cannot be read or written. */
  async #tryTurn(): Promise<void> {
    try {
      await this.#flights.run('turn', () => this.#turn())
    } catch (err) {
      this.#options.logger.warn({ err }, 'cannot keep signing keys up to date')
    }
  }

  async #turn(): Promise<void> {
    const { store, clock, logger, rotationMs, longestLifeMs } = this.#options
    const nowMs = clock.now()
    this.#keys = oldestFirst(await store.read())
    this.#readAtMs = nowMs
    const newest = this.#keys.at(-1)
    if (newest === undefined || nowMs - newest.createdAtMs >= rotationMs) {
      const { kid, json } = await generateKey(nowMs)
      await store.write(kid, json)
      logger.info({ kid }, 'made a new key for signing tokens')
      this.#keys = oldestFirst(await store.read())
    }
    const keepMs = this.#leadMs + longestLifeMs + leewayMs
    const done = this.#keys.filter((_key, at) => {
      const next = this.#keys[at + 1]
      return next !== undefined && nowMs > next.createdAtMs + keepMs
    })
    for (const { kid } of done) {
      await store.remove(kid)
      logger.info({ kid }, 'removed a key for signing tokens: all it signed has expired')
    }
    this.#keys = this.#keys.filter(key => !done.includes(key))
  }
}

function leadFor(rotationMs: number): number {
  return Math.min(longestLeadMs, rotationMs / 2)
}

/** Of keys in the order of their age, oldest first. */
function signerAt(keys: readonly SigningKey[], nowMs: number, leadMs: number): SigningKey | undefined {
  return keys.findLast(({ createdAtMs }) => createdAtMs + leadMs <= nowMs) ?? keys[0]
}

function oldestFirst(keys: readonly SigningKey[]): readonly SigningKey[] {
  return keys.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.kid < b.kid ? -1 : 1))
}
