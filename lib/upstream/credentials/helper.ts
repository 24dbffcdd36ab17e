// Credentials from a program of the docker-credential-* family: `<command> get`, the server's URL on its standard
// input, JSON on its standard output. Nothing that it writes is ever logged or quoted, since any of it may be secret.
// Source: docker-credential-helpers; that its failure means "as anybody" is distribution's `proxy.exec`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import * as z from 'zod'
import type { Clock } from '../../clock.ts'
import { abortable } from '../../keyed-lock.ts'
import type { Logger } from '../../log.ts'
import type { Credentials, CredentialSource } from './credential-source.ts'
import { keptCredentials } from './kept-credentials.ts'
import { pauseMs, type Perishable } from './renewed.ts'

export interface HelperOptions {
  /** Name of the upstream. */
  readonly upstream: string
  /** A program, found by PATH in `env`; no shell reads it, and there are no arguments in it. */
  readonly command: string
  /** What the program is asked about. */
  readonly serverUrl: string
  /** For how long its answer is kept: undefined until it is refused, 0 not at all. Milliseconds. */
  readonly lifetimeMs?: number | undefined
  /** The program's whole environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** After so many milliseconds the program is killed. Default 30 s. */
  readonly timeoutMs?: number | undefined
  readonly clock: Clock
  readonly logger: Logger
}

const maxOutputBytes = 64 * 1024
/** What helpers write, with exit code 1, where they know nothing of a server. */
const notFound = 'credentials not found in native keychain'

const document = z.object({ Username: z.string(), Secret: z.string() })

/**
 * Runs the program when credentials are wanted and none are kept, once for all who wait. Where it fails or knows
 * nothing we go on as anybody, with a warning, and it is asked again after 5 s at the earliest.
 */
export function helperCredentials(options: HelperOptions): CredentialSource {
  const { upstream, command, lifetimeMs = Infinity, clock, logger } = options
  return keptCredentials({
    upstream,
    clock,
    logger,
    async fetch() {
      const answer = await askHelper(options)
      if (typeof answer !== 'string') return keptFor(answer, lifetimeMs, clock)
      logger.warn({ upstream, command, reason: answer }, 'no credentials from helper: going on as anybody')
      return keptFor(undefined, pauseMs, clock)
    },
  })
}

function keptFor<T>(value: T, lifeMs: number, clock: Clock): Perishable<T> {
  const endsAtMs = clock.now() + lifeMs
  return { value, renewAtMs: endsAtMs, endsAtMs }
}

/** Credentials, or why there are none. */
async function askHelper(options: HelperOptions): Promise<Credentials | string> {
  try {
    const { exitCode, output } = await runHelper(options)
    if (exitCode !== 0) return output.trim() === notFound ? 'it knows none' : `it ended with ${exitCode}`
    const parsed = document.safeParse(parseJson(output))
    if (!parsed.success) return 'its answer is not the JSON of a credential helper'
    const { Username: username, Secret: password } = parsed.data
    return password === '' ? 'it knows none' : { username, password }
  } catch (err) {
    return err instanceof Error ? err.message : 'unknown error'
  }
}

/** What the program wrote, and its exit code or what killed it. It is gone when this settles. */
async function runHelper({ command, serverUrl, env, timeoutMs = 30_000 }: HelperOptions) {
  const child = spawn(command, ['get'], { env: { ...env }, stdio: ['pipe', 'pipe', 'ignore'] })
  // `once` sees the first error; another, or a program that does not read what it is sent, must not end this process.
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  child.stdin.end(serverUrl)
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    const finished = Promise.all([readText(child.stdout), once(child, 'exit')])
    const [output] = await abortable(finished, deadline)
    return { exitCode: child.exitCode ?? child.signalCode, output }
  } catch (err) {
    throw deadline.aborted ? new Error(`no answer in ${timeoutMs} ms`) : err
  } finally {
    child.kill('SIGKILL')
    child.stdin.destroy()
    child.stdout.destroy()
  }
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxOutputBytes) throw new Error(`its answer is longer than ${maxOutputBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
