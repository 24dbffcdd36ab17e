// Time ten times as fast as the wall's, so that pauses of seconds do not make a test last for seconds; and it can be
// set forward. Only what takes a Clock lives in it: timeouts of sockets, and the faulty upstream, keep to the wall's.
import { systemClock, type Clock } from '../../lib/clock.ts'

/** Milliseconds of this clock in one of the wall's. */
export const quickness = 10

export class QuickClock implements Clock {
  readonly #startedAtMs = systemClock.now()
  #skippedMs = 0

  now(): number {
    return this.#startedAtMs + (systemClock.now() - this.#startedAtMs) * quickness + this.#skippedMs
  }

  sleep(ms: number, options?: Parameters<Clock['sleep']>[1]): Promise<void> {
    return systemClock.sleep(ms / quickness, options)
  }

  /** Lets time pass at once. Who sleeps already is not woken any sooner. */
  skip(ms: number): void {
    this.#skippedMs += ms
  }
}
