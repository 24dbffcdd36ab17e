// Whether a question is put once more, and after how long. What passes by itself is worth another try: a connection
// refused or reset before any answer, a server that is busy or restarting. It is worth little time, though: a mirror
// that cannot help has to say so while its client still has the patience to ask elsewhere. Timeouts are not tried
// again here, as they have cost too much already.

export interface RetriesOptions {
  /** How many more tries after the first. Default 2. */
  readonly retries?: number | undefined
  /** From 0 to 1; Math.random() but for tests. */
  readonly random?: (() => number) | undefined
}

/** Answers that may be another one in a moment. */
const retriedStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** The other side closed: likely a connection that it had tired of while we were writing to it. */
const closedCodes: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])
/** No connection, for a reason that may pass. A name that does not exist is none, nor is a certificate. */
const unconnectedCodes: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
])

const firstPauseMs = 200
/** Of one question, over all its tries. */
const maxPausedMs = 2_000

/** The tries that one question has left. */
export class Retries {
  readonly #random: () => number
  #left: number
  #nextPauseMs = firstPauseMs
  #pausedMs = 0
  #hasReconnected = false

  constructor({ retries = 2, random = Math.random }: RetriesOptions = {}) {
    this.#left = retries
    this.#random = random
  }

  /**
   * Milliseconds to pause before the next try; undefined if there is none, also where `retryAfterMs`, which the
   * upstream asked for, is longer than a client would wait.
   */
  afterStatus(status: number, retryAfterMs?: number): number | undefined {
    return retriedStatuses.has(status) ? this.#pause(retryAfterMs) : undefined
  }

  /** The same for a request without an answer, by the code of its error. */
  afterError(code: string): number | undefined {
    return closedCodes.has(code) || unconnectedCodes.has(code) ? this.#pause() : undefined
  }

  /**
   * Whether to connect anew at once: true for the first connection that the other side has closed. One that went stale
   * says nothing of the upstream, so that it costs no try and needs no pause.
   */
  reconnects(code: string): boolean {
    if (this.#hasReconnected || !closedCodes.has(code)) return false
    this.#hasReconnected = true
    return true
  }

  /** Between half of the doubling pause and all of it, so that many who failed together do not come back together. */
  #pause(retryAfterMs = 0): number | undefined {
    if (this.#left === 0) return undefined
    const backoffMs = Math.round(this.#nextPauseMs * (0.5 + this.#random() / 2))
    const pauseMs = Math.max(backoffMs, retryAfterMs)
    if (this.#pausedMs + pauseMs > maxPausedMs) return undefined
    this.#left--
    this.#nextPauseMs *= 2
    this.#pausedMs += pauseMs
    return pauseMs
  }
}
