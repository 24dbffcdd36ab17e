// How many bytes of blobs one upstream may send us per second, over all bodies together. Each taker waits until the
// bytes that it has received are paid for: the bytes of all are put one after the other on a single time line, so that
// whoever comes with a piece waits behind the pieces already there and never behind a whole body.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'

/** Time that was not used is not lost at once, or a timer that comes late would slow everything down. */
const burstMs = 100

export class ByteRate {
  readonly #bytesPerSecond: number
  readonly #clock: Clock
  /** When all bytes taken so far are paid for. */
  #paidAtMs = -Infinity
  #lastNowMs = -Infinity

  /** Throws RangeError for a rate that is not above 0. */
  constructor(bytesPerSecond: number, clock: Clock) {
    if (!(bytesPerSecond > 0)) throw new RangeError(`Cannot limit to ${bytesPerSecond} bytes per second`)
    this.#bytesPerSecond = bytesPerSecond
    this.#clock = clock
  }

  /** Resolves when `bytes` more are within the rate. Rejects with `signal.reason`; the bytes count all the same. */
  async take(bytes: number, { signal }: CallOptions = {}): Promise<void> {
    const nowMs = this.#clock.now()
    // A wall clock that was set back must not stop every body until it has caught up.
    if (nowMs < this.#lastNowMs) this.#paidAtMs += nowMs - this.#lastNowMs
    this.#lastNowMs = nowMs
    this.#paidAtMs = Math.max(this.#paidAtMs, nowMs - burstMs) + (bytes / this.#bytesPerSecond) * 1000
    const waitMs = Math.ceil(this.#paidAtMs - nowMs)
    if (waitMs > 0) await this.#clock.sleep(waitMs, { signal })
  }
}
