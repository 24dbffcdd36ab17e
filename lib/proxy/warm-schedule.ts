// Images that are kept warm: each list of them when the server starts, and again whenever its interval has passed since
// it was done. One list at a time, so that warming never takes more of an upstream than one client would.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Warmer, WarmRequest } from './warm.ts'

export interface WarmTask extends WarmRequest {
  /** From the end of one run to the next, milliseconds; more than zero. */
  readonly intervalMs: number
}

export interface WarmScheduleDeps {
  readonly warmer: Warmer
  readonly clock: Clock
  readonly logger: Logger
}

export interface WarmSchedule {
  /** Stops what is under way, and settles when it has ended. Idempotent. */
  stop(): Promise<void>
}

/** Begins at once, and keeps no process alive. */
export function startWarming(tasks: readonly WarmTask[], deps: WarmScheduleDeps): WarmSchedule {
  const { clock, logger } = deps
  const stopping = new AbortController()
  const { signal } = stopping

  async function runForEver(): Promise<void> {
    const waiting = tasks.map(task => ({ task, dueAtMs: clock.now() }))
    for (;;) {
      const [next] = waiting.toSorted((a, b) => a.dueAtMs - b.dueAtMs)
      if (next === undefined) return
      // Never longer than its interval: the clock may have been set back.
      const delayMs = Math.min(next.task.intervalMs, next.dueAtMs - clock.now())
      if (delayMs > 0) await clock.sleep(delayMs, { signal })
      try {
        await warmAndLog(next.task, deps, signal)
      } catch (err) {
        signal.throwIfAborted()
        logger.error({ err }, 'cannot warm images')
      }
      next.dueAtMs = clock.now() + next.task.intervalMs
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

async function warmAndLog(
  task: WarmTask,
  { warmer, logger }: WarmScheduleDeps,
  signal: AbortSignal,
): Promise<void> {
  for await (const event of warmer.warm(task, { signal })) {
    if (event.kind === 'failed')
      logger.warn({ image: event.image, reason: event.message }, 'cannot warm image')
    if (event.kind === 'resolved' && event.missing.length > 0) {
      logger.warn({ image: event.image, platforms: event.missing.join(' ') }, 'image lacks platforms to warm')
    }
    if (event.kind !== 'done') continue
    const { image, digest, fetchedBytes, presentBytes } = event
    logger.info({ image, digest, fetchedBytes, presentBytes }, 'image is warm')
  }
}
