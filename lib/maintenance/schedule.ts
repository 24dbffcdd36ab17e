// Work that is done over and over in the background: first after a random delay of up to an hour, or an interval, so that
// replicas which start together do not do it together, then at intervals. One run at a time; a failed one is logged, and
// the next comes as usual.
import type { Clock } from '../clock.ts'
import { formatDuration } from '../config/units.ts'
import type { Logger } from '../log.ts'

export interface ScheduleOptions {
  /** As it stands in log lines: "Starting <name> in 54m0s". */
  readonly name: string
  /** Between the end of one run and the start of the next, milliseconds. */
  readonly intervalMs: number
  readonly clock: Clock
  readonly logger: Logger
  run(options: { readonly signal: AbortSignal }): Promise<void>
  /** At least 0 and less than 1; default: a random number. */
  readonly jitter?: () => number
}

export interface Schedule {
  /** Aborts a run that is under way, and settles when it has ended. Idempotent. */
  stop(): Promise<void>
}

const minuteMs = 60_000

/** Begins at once, and keeps no process alive. */
export function startSchedule(options: ScheduleOptions): Schedule {
  const { clock, intervalMs, jitter = Math.random, logger, name } = options
  const stopping = new AbortController()
  const { signal } = stopping

  async function runForEver(): Promise<void> {
    const firstMs = Math.min(Math.floor(jitter() * 60) * minuteMs, intervalMs)
    for (let delayMs = firstMs; ; delayMs = intervalMs) {
      logger.info(`Starting ${name} in ${formatDuration(delayMs)}`)
      await clock.sleep(delayMs, { signal })
      try {
        await options.run({ signal })
      } catch (err) {
        signal.throwIfAborted()
        logger.error({ err }, `cannot complete ${name}`)
      }
    }
  }

  // It ends by the signal alone.
  const ended = runForEver().catch(() => {})
  return {
    stop() {
      stopping.abort()
      return ended
    },
  }
}
