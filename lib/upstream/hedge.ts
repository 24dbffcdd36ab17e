// One question, several who may answer it, asked one after the other: the next one when one has failed, and beside it
// when it is slow. The first success wins.
//
// Whoever is still being asked then is not cancelled, as its silence is what a circuit learns from: it is handed to
// `onLate`, who gets rid of what it may bring.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { UpstreamError } from './errors.ts'

export interface Attempt<T> {
  ask(): Promise<T>
  /** Milliseconds after which the next one is asked beside this one; 0 for at once. */
  readonly hedgeMs: number
}

/** How an attempt has ended; `index` is its place among the attempts. */
export type Outcome<T> =
  { readonly index: number; readonly value: T } | { readonly index: number; readonly error: unknown }

export interface HedgeOptions<T> extends CallOptions {
  readonly clock: Clock
  /** Called with each attempt that failed while another can be asked. */
  readonly onFailure: (index: number, err: UpstreamError) => void
  /** Takes over an attempt that is still under way; `outcome` never rejects. */
  readonly onLate: (index: number, outcome: Promise<Outcome<T>>) => void
}

export interface Won<T> {
  readonly index: number
  readonly value: T
}

/**
 * The first success, or the failures of all in the order of `attempts`. Throws `signal.reason`, or at once any error
 * of an attempt that is no UpstreamError.
 */
export async function firstSuccess<T>(
  attempts: readonly Attempt<T>[],
  { clock, signal, onFailure, onLate }: HedgeOptions<T>,
): Promise<Won<T> | readonly UpstreamError[]> {
  const running = new Map<number, Promise<Outcome<T>>>()
  const failures: UpstreamError[] = []
  const over = new AbortController()
  let patience: Promise<'slow'> | undefined
  let begun = 0
  let mayBegin = true
  try {
    for (;;) {
      signal?.throwIfAborted()
      const attempt: Attempt<T> | undefined = mayBegin ? attempts[begun] : undefined
      if (attempt !== undefined) {
        running.set(begun, settle(begun, attempt.ask()))
        begun++
        mayBegin = attempt.hedgeMs === 0
        patience =
          mayBegin || begun === attempts.length
            ? undefined
            : clock.sleep(attempt.hedgeMs, { signal: over.signal }).then(slow, slow)
        continue
      }
      if (running.size === 0) return [...failures.values()]
      const waitedFor = [...running.values()]
      const event = await Promise.race(patience === undefined ? waitedFor : [...waitedFor, patience])
      mayBegin = true
      if (event === 'slow') {
        patience = undefined
        continue
      }
      running.delete(event.index)
      if ('value' in event) return event
      signal?.throwIfAborted()
      if (!(event.error instanceof UpstreamError)) throw event.error
      failures[event.index] = event.error
      if (begun < attempts.length) onFailure(event.index, event.error)
    }
  } finally {
    over.abort()
    for (const [index, outcome] of running) onLate(index, outcome)
  }
}

async function settle<T>(index: number, asked: Promise<T>): Promise<Outcome<T>> {
  try {
    return { index, value: await asked }
  } catch (error) {
    return { index, error }
  }
}

function slow(): 'slow' {
  return 'slow'
}
