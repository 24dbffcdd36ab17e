// Time, as a thing that is handed in: the only file that reads the wall clock or sets a timer.
import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Rejects with `signal.reason` when aborted. A sleeping clock keeps no process alive. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, options = {}) {
    const { signal } = options
    try {
      await delay(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) })
    } catch (err) {
      throw signal?.aborted ? signal.reason : err
    }
  },
}
