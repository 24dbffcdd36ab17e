// A clock that moves only when a test says so.
import type { Clock } from '../../lib/clock.ts'

interface Sleeper {
  readonly untilMs: number
  readonly wake: () => void
}

export class ManualClock implements Clock {
  readonly #sleepers = new Set<Sleeper>()
  #nowMs: number
  #onSleep = () => {}

  /** Stands at `nowMs`, by default a whole second of the year 2026. */
  constructor(nowMs = Date.parse('2026-08-18T09:30:00Z')) {
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  async sleep(ms: number, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const sleeper: Sleeper = {
        untilMs: this.#nowMs + ms,
        wake: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      const leave = () => {
        this.#sleepers.delete(sleeper)
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#sleepers.add(sleeper)
      this.#onSleep()
    })
  }

  /** Lets time pass; whoever has slept long enough wakes, the earliest first. Negative: the clock is set back. */
  advance(ms: number): void {
    this.#nowMs += ms
    const due = [...this.#sleepers].filter(({ untilMs }) => untilMs <= this.#nowMs)
    for (const sleeper of due.toSorted((a, b) => a.untilMs - b.untilMs)) {
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
  }

  /** How many sleep at this moment. */
  get sleeping(): number {
    return this.#sleepers.size
  }

  /** Settles as soon as somebody sleeps. */
  async slept(): Promise<void> {
    while (this.#sleepers.size === 0) await new Promise<void>(resolve => (this.#onSleep = resolve))
  }
}
