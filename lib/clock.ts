// Time, as a thing that is handed in: the only file that reads the wall clock or sets a timer.
import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Rejects with `signal.reason` when aborted. A sleeping clock keeps no process alive. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
}

/** The longest that one timer of Node's can wait, some 24 days: a longer one goes off at once. */
const longestTimerMs = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, options = {}) {
    const { signal } = options
    const timer = { ref: false, ...(signal === undefined ? {} : { signal }) }
    try {
      let leftMs = ms
      for (; leftMs > longestTimerMs; leftMs -= longestTimerMs) await delay(longestTimerMs, undefined, timer)
      await delay(leftMs, undefined, timer)
    } catch (err) {
      throw signal?.aborted ? signal.reason : err
    }
  },
}
