// A value that does not last (a token, credentials of a cloud provider), kept as long as it is good:
//
//   fetched ── fresh ──▶ renewAtMs ── used, and renewed behind the callers' backs ──▶ endsAtMs ── fetched anew
//
// However many ask, one fetch is under way. Failures are not remembered, but for a pause of seconds: after one that
// another try would only repeat, callers get it again at once; after any, nothing is renewed in the background.
import type { Clock } from '../../clock.ts'
import type { CallOptions } from '../../oci/descriptor.ts'
import { SingleFlight } from '../../single-flight.ts'

export interface Perishable<T> {
  readonly value: T
  /** From here on another is fetched in the background. */
  readonly renewAtMs: number
  /** From here on it is not used any more. */
  readonly endsAtMs: number
}

export interface RenewedOptions<T> {
  /** Has to end by itself. */
  readonly fetch: () => Promise<Perishable<T>>
  readonly clock: Clock
  /** Whether asking again at once would only repeat this failure. */
  readonly isFinal: (err: unknown) => boolean
  /** Told why a value that is still good could not be renewed. */
  readonly onLate: (err: unknown) => void
  /** How old a value has to be before drop() lets go of it. Default 0. */
  readonly dropAfterMs?: number
}

/** For how long, in milliseconds, what was refused is not tried again. */
export const pauseMs = 5_000

export class Renewed<T> {
  readonly #options: RenewedOptions<T>
  readonly #fetches = new SingleFlight()
  #kept: Perishable<T> | undefined
  #keptAtMs = 0
  #heldUntilMs = 0
  #failure: { readonly error: unknown; readonly untilMs: number } | undefined

  constructor(options: RenewedOptions<T>) {
    this.#options = options
  }

  /** The kept value if it is good; starts to renew it when that is due. */
  peek(): Perishable<T> | undefined {
    const nowMs = this.#options.clock.now()
    if (!this.#isGood(nowMs)) return undefined
    const isDue = nowMs >= (this.#kept?.renewAtMs ?? Infinity) && nowMs >= this.#heldUntilMs
    if (isDue && this.#failureAt(nowMs) === undefined) this.#fetch().catch(() => {}) // told to onLate()
    return this.#kept
  }

  /** The kept value, or one that is fetched now. Throws what `fetch` throws, or `signal.reason`. */
  async get(options: CallOptions = {}): Promise<Perishable<T>> {
    const kept = this.peek()
    if (kept !== undefined) return kept
    const failure = this.#failureAt(this.#options.clock.now())
    if (failure !== undefined && this.#options.isFinal(failure.error)) throw failure.error
    return await this.#fetch(options)
  }

  /**
   * Lets go of a value that was refused, unless another has taken its place. One that is too young for that is held
   * on to until it is old enough, also past its end, so that refusals never make fetches more frequent.
   */
  drop(isRefused: (value: T) => boolean): void {
    if (this.#kept === undefined || !isRefused(this.#kept.value)) return
    const { clock, dropAfterMs = 0 } = this.#options
    const oldEnoughAtMs = this.#keptAtMs + dropAfterMs
    if (clock.now() < oldEnoughAtMs) this.#heldUntilMs = oldEnoughAtMs
    else this.#kept = undefined
  }

  #isGood(nowMs: number): boolean {
    return this.#kept !== undefined && nowMs < Math.max(this.#kept.endsAtMs, this.#heldUntilMs)
  }

  #failureAt(nowMs: number): { readonly error: unknown } | undefined {
    return this.#failure !== undefined && nowMs < this.#failure.untilMs ? this.#failure : undefined
  }

  #fetch(options: CallOptions = {}): Promise<Perishable<T>> {
    return this.#fetches.run('fetch', () => this.#fetchAlone(), options)
  }

  async #fetchAlone(): Promise<Perishable<T>> {
    const { fetch, clock, onLate } = this.#options
    try {
      const fresh = await fetch()
      this.#kept = fresh
      this.#keptAtMs = clock.now()
      this.#heldUntilMs = 0
      this.#failure = undefined
      return fresh
    } catch (error) {
      const nowMs = clock.now()
      this.#failure = { error, untilMs: nowMs + pauseMs }
      if (this.#isGood(nowMs)) onLate(error)
      throw error
    }
  }
}

/**
 * What lasts `lifeMs` from `fromMs`: renewed in the last tenth, and not used in its last 10 s, or last twentieth if
 * that is less, so that it does not end on its way.
 */
export function perishable<T>(value: T, fromMs: number, lifeMs: number): Perishable<T> {
  return {
    value,
    renewAtMs: fromMs + lifeMs * 0.9,
    endsAtMs: fromMs + lifeMs - Math.min(10_000, lifeMs / 20),
  }
}
