// How commands that work alone end: what goes wrong is told on stderr in one line, and the exit code is 1.
import { ConfigError } from '../config/config-error.ts'
import { describeError } from '../log.ts'
import type { Io } from './io.ts'
import { printable } from './table.ts'

/** Runs `work`, whose signal is aborted by SIGINT and SIGTERM. Settles with the exit code. */
export async function tellingFailures(
  io: Io,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const stop = new AbortController()
  const unlisten = io.onSignal(signal => stop.abort(new Error(`interrupted by ${signal}`)))
  try {
    return await work(stop.signal)
  } catch (err) {
    const prefix = err instanceof ConfigError ? 'configuration error' : 'registry'
    io.stderr.write(`${prefix}: ${describeError(err).split('\n').map(printable).join('\n')}\n`)
    return 1
  } finally {
    unlisten()
  }
}
