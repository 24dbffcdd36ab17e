// Fails fast while an upstream cannot be reached, so that a machine without a network does not wait for a name lookup
// or a connection with every request.
//
//   closed ──── n failures in a row ───▶ open ──── openMs later, the next call ───▶ half open (that call is let through)
//      ▲                                  ▲                                             │
//      └──────────── any answer ──────────┼──────────── no answer: another openMs ──────┘
//
// Only the want of an answer counts. A 404, a 500 or a body that breaks off shows that the upstream is there.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { UpstreamError } from './errors.ts'
import type { Upstream } from './upstream.ts'

export interface CircuitOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Failures in a row that open the circuit. Default 3. */
  readonly failures?: number | undefined
  /** Milliseconds for which calls then fail at once. Default 10 s. */
  readonly openMs?: number | undefined
}

/** The same upstream, whose calls throw UpstreamError `unavailable` at once while it is known not to answer. */
export function withCircuit(upstream: Upstream, options: CircuitOptions): Upstream {
  const circuit = new Circuit(upstream.name, options)
  return {
    name: upstream.name,
    statBlob: (...args) => circuit.run(() => upstream.statBlob(...args)),
    openBlob: (...args) => circuit.run(() => upstream.openBlob(...args)),
    manifest: (...args) => circuit.run(() => upstream.manifest(...args)),
    statManifest: (...args) => circuit.run(() => upstream.statManifest(...args)),
    referrers: (...args) => circuit.run(() => upstream.referrers(...args)),
    tags: (...args) => circuit.run(() => upstream.tags(...args)),
    close: () => upstream.close(),
  }
}

class Circuit {
  readonly #name: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #failures: number
  readonly #openMs: number
  #failuresInRow = 0
  #lastFailure: UpstreamError | undefined
  #openUntilMs = 0
  #isProbing = false

  constructor(name: string, { clock, logger, failures = 3, openMs = 10_000 }: CircuitOptions) {
    this.#name = name
    this.#clock = clock
    this.#logger = logger
    this.#failures = failures
    this.#openMs = openMs
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    const isProbe = this.#isOpen
    if (isProbe) this.#admitProbe()
    try {
      const result = await call()
      this.#onAnswer()
      return result
    } catch (err) {
      if (err instanceof UpstreamError && (err.failure !== 'unavailable' || err.status !== undefined)) {
        this.#onAnswer()
      } else if (err instanceof UpstreamError) {
        this.#onFailure(err, isProbe)
      }
      throw err
    } finally {
      // Also where the caller has left: what it would have learnt, the next one will.
      if (isProbe) this.#isProbing = false
    }
  }

  get #isOpen(): boolean {
    return this.#failuresInRow >= this.#failures
  }

  #admitProbe(): void {
    const nowMs = this.#clock.now()
    if (!this.#isProbing && nowMs >= this.#openUntilMs) {
      this.#isProbing = true
      return
    }
    const message = `Cannot ask "${this.#name}": it has not answered ${this.#failuresInRow} times in a row`
    throw new UpstreamError('unavailable', this.#name, message, {
      cause: this.#lastFailure,
      retryAfterMs: Math.max(0, this.#openUntilMs - nowMs),
    })
  }

  #onAnswer(): void {
    if (this.#isOpen) this.#logger.info({ upstream: this.#name }, 'upstream answers again')
    this.#failuresInRow = 0
    this.#lastFailure = undefined
  }

  /** While open, only the probe's failure says something new: the others were sent before. */
  #onFailure(err: UpstreamError, isProbe: boolean): void {
    if (this.#isOpen && !isProbe) return
    this.#failuresInRow++
    this.#lastFailure = err
    if (!this.#isOpen) return
    this.#openUntilMs = this.#clock.now() + this.#openMs
    if (!isProbe) {
      this.#logger.warn(
        { upstream: this.#name, err, openMs: this.#openMs },
        'upstream does not answer: failing fast',
      )
    }
  }
}
