// Whether one URL is asked at this moment, decided by how the calls before have ended. It knows calls only as keys:
// circuit.ts makes and ends them.
//
//   closed ──── trouble ───▶ open ──── its time is over, the next call ───▶ half open (that call is let through)
//      ▲                      ▲                                              │
//      └──────── answer ──────┼───────────── trouble: open for longer ───────┘
//
// Trouble is: `failures` calls in a row without an answer, five answers in a row that are 5xx, one 429, or a stall
// that circuit.ts has seen. A 404 or a body that breaks off shows that the upstream is there.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { UpstreamError } from './errors.ts'
import type { CircuitState } from './upstream.ts'

export interface BreakerOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Calls in a row without an answer that open the circuit. Default 3. */
  readonly failures?: number | undefined
  /**
   * Milliseconds for which calls fail at once. Default 10 s; twice as long after each trial in vain, up to 2 min. What
   * the upstream asks for with Retry-After counts instead, from 1 s to 5 min.
   */
  readonly openMs?: number | undefined
  /** Called after each change of `kind` that a call has brought about. */
  readonly onChange?: ((state: CircuitState) => void) | undefined
}

/** Why a call brought nothing, as far as this cares: no answer, a 5xx or a 429. */
type Trouble = 'silent' | 'failing' | 'limited'

interface Opening {
  readonly trouble: Trouble
  readonly openedAtMs: number
  readonly untilMs: number
}

const failingAnswers = 5
const longestGrowthMs = 2 * 60_000
const shortestAskedMs = 1_000
const longestAskedMs = 5 * 60_000

/** One call, by identity. */
type Call = object

export class Breaker {
  readonly #name: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #failures: number
  readonly #openMs: number
  readonly #onChange: (state: CircuitState) => void
  #opening: Opening | undefined
  /** How often it was opened since it was last closed. */
  #openings = 0
  /** The call that tries whether the upstream is back. */
  #trial: Call | undefined
  #silentInRow = 0
  #failingInRow = 0
  #lastFailure: UpstreamError | undefined
  #lastAnsweredAtMs: number | undefined

  constructor(name: string, options: BreakerOptions) {
    const { clock, logger, failures = 3, openMs = 10_000, onChange = () => {} } = options
    this.#name = name
    this.#clock = clock
    this.#logger = logger
    this.#failures = failures
    this.#openMs = openMs
    this.#onChange = onChange
  }

  state(): CircuitState {
    const failure = this.#lastFailure?.message
    return {
      kind: this.#kind,
      ...(this.#opening === undefined ? {} : { untilMs: this.#opening.untilMs }),
      ...(failure === undefined ? {} : { lastFailure: failure }),
      ...(this.#lastAnsweredAtMs === undefined ? {} : { lastAnsweredAtMs: this.#lastAnsweredAtMs }),
    }
  }

  get isClosed(): boolean {
    return this.#opening === undefined
  }

  /** Whether nobody answers, so that waiting on is in vain. */
  get isSilent(): boolean {
    return this.#opening?.trouble === 'silent'
  }

  /** Lets `call` through, as the trial if it is time for one. Throws UpstreamError while open. */
  admit(call: Call): void {
    if (this.#opening === undefined) return
    if (this.#trial !== undefined || !this.#isDue(this.#opening)) throw this.refusal()
    this.#trial = call
    this.#onChange(this.state())
  }

  /** What callers are told while open. */
  refusal(): UpstreamError {
    const { trouble, untilMs } = this.#opening ?? { trouble: 'silent', untilMs: 0 }
    const why = {
      silent: 'it does not answer',
      failing: `it failed ${this.#failingInRow} times in a row`,
      limited: 'it wants us to wait',
    }[trouble]
    return new UpstreamError(
      trouble === 'limited' ? 'limited' : 'unavailable',
      this.#name,
      `Cannot ask "${this.#name}": ${why}`,
      { cause: this.#lastFailure, retryAfterMs: Math.max(0, untilMs - this.#clock.now()) },
    )
  }

  /** `call` was answered, with success or with something as good. */
  answered(call: Call): void {
    const isTrial = this.#endTrial(call)
    this.#lastAnsweredAtMs = this.#clock.now()
    // Whoever wants us to wait may well answer what it was asked before that.
    if (this.#opening?.trouble === 'limited' && !isTrial) return
    this.#silentInRow = 0
    this.#failingInRow = 0
    this.#lastFailure = undefined
    this.#shut()
  }

  failed(call: Call, err: UpstreamError): void {
    const trouble = troubleOf(err)
    if (trouble === undefined) return this.answered(call)
    const isTrial = this.#endTrial(call)
    if (trouble !== 'silent') this.#lastAnsweredAtMs = this.#clock.now()
    // While open, only a trial's failure says something new: the other calls were sent before.
    if (this.#opening !== undefined && !isTrial) return
    this.#lastFailure = err
    this.#silentInRow = trouble === 'silent' ? this.#silentInRow + 1 : 0
    if (trouble === 'failing') this.#failingInRow++
    const isEnough = this.#silentInRow >= this.#failures || this.#failingInRow >= failingAnswers
    // To one that was silent, a 5xx is a sign of life.
    const isInVain = isTrial && (trouble === 'silent' || trouble === this.#opening?.trouble)
    if (trouble === 'limited' || isEnough || isInVain) this.#open(trouble, err)
    else this.#shut()
  }

  /** So many calls wait and nothing comes in: it does not take their failure to know. */
  stalled(waiting: number): void {
    const message = `Cannot reach "${this.#name}": ${waiting} requests wait and nothing comes in`
    this.#lastFailure = new UpstreamError('unavailable', this.#name, message)
    this.#open('silent', this.#lastFailure)
  }

  /** The caller of `call` has left: what it would have shown, the next one will. */
  left(call: Call): void {
    this.#endTrial(call)
  }

  get #kind(): CircuitState['kind'] {
    if (this.#opening === undefined) return 'closed'
    return this.#trial !== undefined || this.#isDue(this.#opening) ? 'half-open' : 'open'
  }

  /** A clock that was set back must not keep it open for ever. */
  #isDue({ openedAtMs, untilMs }: Opening): boolean {
    const nowMs = this.#clock.now()
    return nowMs >= untilMs || nowMs < openedAtMs
  }

  #endTrial(call: Call): boolean {
    if (this.#trial !== call) return false
    this.#trial = undefined
    return true
  }

  #open(trouble: Trouble, err: UpstreamError): void {
    const openedAtMs = this.#clock.now()
    const forMs = this.#openForMs(trouble, err.retryAfterMs)
    this.#opening = { trouble, openedAtMs, untilMs: openedAtMs + forMs }
    if (this.#openings++ === 0) {
      const what = trouble === 'limited' ? 'wants us to wait' : 'does not answer as it should'
      this.#logger.warn({ upstream: this.#name, err, openMs: forMs }, `upstream ${what}: failing fast`)
    }
    this.#onChange(this.state())
  }

  #openForMs(trouble: Trouble, retryAfterMs: number | undefined): number {
    const longestMs = Math.max(this.#openMs, longestGrowthMs)
    const grownMs = Math.min(this.#openMs * 2 ** this.#openings, longestMs)
    if (retryAfterMs === undefined) return grownMs
    const askedMs = Math.min(Math.max(retryAfterMs, shortestAskedMs), longestAskedMs)
    return trouble === 'limited' ? askedMs : Math.max(grownMs, askedMs)
  }

  /** Closes the circuit, if it is open. */
  #shut(): void {
    if (this.#opening === undefined) return
    this.#opening = undefined
    this.#openings = 0
    this.#trial = undefined
    this.#logger.info({ upstream: this.#name }, 'upstream answers again')
    this.#onChange(this.state())
  }
}

/** Undefined for what is an answer, even if a body then broke off. */
function troubleOf(err: UpstreamError): Trouble | undefined {
  if (err.failure === 'limited') return 'limited'
  if (err.failure !== 'unavailable') return undefined
  if (err.status === undefined) return 'silent'
  return err.status >= 500 ? 'failing' : undefined
}
