// Questions to upstreams. Each is asked once for all who want to know, and outlives them: an answer that comes when its
// askers have left serves the next one. Who has something to fall back on waits for a while at most; and an upstream
// that has let somebody wait so long is not waited for again until it answers something.
//
// What came of a question that failed is remembered for those who decide whether to ask it again (revalidation.ts).
// Everything is bounded: the failures remembered, the questions asked behind everybody's back.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { SingleFlight } from '../single-flight.ts'
import { UpstreamError, type UpstreamFailure } from '../upstream/errors.ts'
import type { Upstream } from '../upstream/upstream.ts'

export interface Question<T> {
  /** Names the question among all, and with it the type of its answer. */
  readonly key: string
  readonly upstream: Upstream
  /** Also stores what came of it. Throws UpstreamError. */
  readonly ask: () => Promise<T>
}

/** How a question failed when it was asked last. */
export interface Failure {
  readonly failure: UpstreamFailure
  readonly message: string
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** What the upstream wants us to wait, milliseconds. */
  readonly retryAfterMs: number | undefined
}

export interface QuestionsDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Beyond so many questions under way none is begun in the background: the next request tries again. Default 32. */
  readonly maxUnderWay?: number | undefined
  /** Default 10,000. */
  readonly maxFailures?: number | undefined
}

/** Whoever asks an upstream with a copy at hand gives it so long at least, unless less is configured. */
const leastPatienceMs = 50
/** How many wait for one upstream, and how long those do who come on top of them, milliseconds. */
const mostWaiting = 4
const crowdPatienceMs = 60

export class Questions {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #maxUnderWay: number
  readonly #flights = new SingleFlight()
  readonly #underWay = new Map<string, Promise<unknown>>()
  readonly #failures: LRUCache<string, Failure>
  /** Upstreams that have let somebody wait out his patience, and have not answered anything since. */
  readonly #silent = new WeakSet<Upstream>()
  /** How long upstreams take to answer, milliseconds. */
  readonly #usual = new WeakMap<Upstream, number>()
  /** How many wait for them to the end. */
  readonly #waiting = new WeakMap<Upstream, number>()
  #isClosed = false

  constructor({ clock, logger, maxUnderWay = 32, maxFailures = 10_000 }: QuestionsDeps) {
    this.#clock = clock
    this.#logger = logger
    this.#maxUnderWay = maxUnderWay
    this.#failures = new LRUCache({ max: maxFailures })
  }

  /** The answer, however long it takes. Rejects as the question does, or with `signal.reason`. */
  async ask<T>(question: Question<T>, options?: CallOptions): Promise<T> {
    return this.#flights.run(question.key, () => this.#watch(question), options)
  }

  /**
   * The answer if it comes within `patienceMs`, or in several times what this upstream takes when it is well, if that is
   * less; undefined if not, and the question goes on. Of many who wait for the same upstream only a few do so to the
   * end. Rejects as ask() does.
   */
  async askWithin<T>(
    question: Question<T>,
    patienceMs: number,
    options?: CallOptions,
  ): Promise<{ readonly answer: T } | undefined> {
    const { upstream } = question
    const timer = new AbortController()
    const answered = this.ask(question, options).then(answer => ({ answer }))
    const late = this.#wait(upstream, patienceMs, timer.signal)
    try {
      return await Promise.race([answered, late])
    } finally {
      timer.abort()
    }
  }

  /** Asks in the background, unless the question is under way or too many are. Never throws. */
  askBehind<T>(question: Question<T>): void {
    if (this.#isClosed || this.#underWay.has(question.key) || this.#underWay.size >= this.#maxUnderWay) return
    this.ask(question).catch(() => {}) // #watch() has said so.
  }

  /** Whether somebody with a copy at hand should wait for this upstream at all. */
  isWorthWaitingFor(upstream: Upstream): boolean {
    return !this.#silent.has(upstream)
  }

  failureOf(key: string): Failure | undefined {
    return this.#failures.get(key)
  }

  /** Something has happened that makes the last failure worth nothing. */
  forgetFailure(key: string): void {
    this.#failures.delete(key)
  }

  /** Begins no further question in the background, and waits for those under way, at most `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#isClosed = true
    const timer = new AbortController()
    const over = this.#clock.sleep(graceMs, { signal: timer.signal })
    try {
      await Promise.race([Promise.allSettled(this.#underWay.values()), over])
    } finally {
      timer.abort()
    }
  }

  /**
   * Settles when a client has waited long enough. A moment's trouble of an upstream that answers at once must not be felt
   * by all who ask in that moment: only a few find out how long it lasts.
   */
  async #wait(upstream: Upstream, patienceMs: number, signal: AbortSignal): Promise<undefined> {
    const usualMs = this.#usual.get(upstream) ?? Infinity
    const longMs = Math.min(patienceMs, Math.max(leastPatienceMs, 4 * usualMs))
    const waiting = this.#waiting.get(upstream) ?? 0
    if (waiting >= mostWaiting && longMs > crowdPatienceMs) {
      await this.#clock.sleep(crowdPatienceMs, { signal })
      return undefined
    }
    this.#waiting.set(upstream, waiting + 1)
    try {
      await this.#clock.sleep(longMs, { signal })
      this.#silent.add(upstream)
    } finally {
      this.#waiting.set(upstream, (this.#waiting.get(upstream) ?? 1) - 1)
    }
    return undefined
  }

  /** What it takes when it is well: less is believed at once, more by and by. */
  #learnUsual(upstream: Upstream, tookMs: number): void {
    const before = this.#usual.get(upstream) ?? tookMs
    this.#usual.set(upstream, tookMs < before ? Math.max(0, tookMs) : before + (tookMs - before) * 0.05)
  }

  /** Begun by the single flight alone: one at a time per key. */
  async #watch<T>(question: Question<T>): Promise<T> {
    const asking = this.#learn(question)
    this.#underWay.set(question.key, asking)
    try {
      return await asking
    } finally {
      this.#underWay.delete(question.key)
    }
  }

  async #learn<T>({ key, upstream, ask }: Question<T>): Promise<T> {
    try {
      const askedAtMs = this.#clock.now()
      const answer = await ask()
      this.#learnUsual(upstream, this.#clock.now() - askedAtMs)
      this.#silent.delete(upstream)
      this.#failures.delete(key)
      return answer
    } catch (err) {
      if (!(err instanceof UpstreamError)) {
        this.#logger.warn({ err, question: key }, 'cannot keep what an upstream answered')
        throw err
      }
      const { failure, message, retryAfterMs, retryable } = err
      if (!retryable) this.#silent.delete(upstream)
      this.#failures.set(key, { failure, message, atMs: this.#clock.now(), retryAfterMs })
      if (failure !== 'unknown')
        this.#logger.debug({ err, question: key }, 'upstream did not answer a question')
      throw err
    }
  }
}
