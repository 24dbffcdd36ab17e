// What a command sees of the process around it, handed in, so that tests run whole commands inside their own process.
import type { Writable } from 'node:stream'

export type StopSignal = 'SIGINT' | 'SIGTERM'

export interface Output {
  write(text: string): unknown
  /** Whether it is a terminal, where what was written can be written over. */
  readonly isTTY?: boolean | undefined
  /** Of the terminal. */
  readonly columns?: number | undefined
}

export interface Io {
  readonly stdin: AsyncIterable<Uint8Array>
  readonly stdout: Output
  readonly stderr: Output
  /** Where a command writes what is not text; undefined: it cannot. */
  readonly binaryOut?: Writable | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Takes the lines of the server's log; undefined: written to stderr without waiting for whoever reads it. */
  readonly writeLog?: ((line: string) => void) | undefined
  /** The same for the lines of its access log, and stdout. */
  readonly writeAccessLog?: ((line: string) => void) | undefined
  /** Calls `listener` at each stop signal, which then no longer ends the process; returns what takes it off again. */
  onSignal(listener: (signal: StopSignal) => void): () => void
}

/** The process itself. */
export function processIo(): Io {
  // Whoever reads our output may have seen enough, as `head` has: then the rest is written to nobody.
  process.stdout.on('error', (err: NodeJS.ErrnoException) => {
    if (err.code !== 'EPIPE') throw err
  })
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    binaryOut: process.stdout,
    env: process.env,
    onSignal(listener) {
      process.on('SIGINT', listener)
      process.on('SIGTERM', listener)
      return () => {
        process.off('SIGINT', listener)
        process.off('SIGTERM', listener)
      }
    },
  }
}
