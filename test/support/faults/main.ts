// The fault-injecting upstream as a program: arguments in, one line of JSON out, then it serves until it is told to end.
import { startFaultUpstream } from '../fault-upstream.ts'
import { parseCommandLine, usage } from './command-line.ts'

export interface Io {
  out(text: string): void
  error(text: string): void
  /** Aborts when the program is to end. */
  readonly signal: AbortSignal
}

/** Runs until `io.signal` aborts; the exit code. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  if (argv.includes('--help')) {
    io.out(usage)
    return 0
  }
  let upstream
  try {
    upstream = await startFaultUpstream(parseCommandLine(argv))
  } catch (err) {
    io.error(`${err instanceof Error ? err.message : String(err)}\n\n${usage}`)
    return 2
  }
  const { url, cdnUrl, tokenUrl, controlUrl } = upstream
  io.out(`${JSON.stringify({ url, cdnUrl, tokenUrl, controlUrl })}\n`)
  await new Promise<void>(resolve => {
    if (io.signal.aborted) resolve()
    else io.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await upstream.close()
  return 0
}
