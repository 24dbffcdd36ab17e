// What an HTTP status of an upstream means to us, and how an answer's body is got rid of or read. Bodies are bounded
// here: a body that nobody wants must neither keep a connection nor be read to a far end.
import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { UpstreamError, type UpstreamFailure } from './errors.ts'

/** Whoever gets one reads its body to the end or destroys it. */
export interface HttpAnswer {
  readonly status: number
  readonly body: Dispatcher.ResponseData['body']
  /** Who answered: scheme, host and port. */
  readonly origin: string
  /** Whether that is another origin than the one that was asked. */
  readonly redirected: boolean
  /** The first line of a header. */
  header(name: string): string | undefined
  headerLines(name: string): readonly string[]
}

/** Enough for every error document and redirect page; what is longer costs its connection. */
const maxDiscardedBytes = 64 * 1024
const maxDiscardMs = 1_000

/** Ends an answer whose body is not wanted, keeping the connection if the rest is short. Never throws. */
export async function discard(answer: HttpAnswer): Promise<void> {
  try {
    await answer.body.dump({ limit: maxDiscardedBytes, signal: AbortSignal.timeout(maxDiscardMs) })
  } catch {
    // The body broke off or took too long; dump() has destroyed it, which is what was asked for.
  }
}

/**
 * Reads a whole body of at most `maxBytes`. Throws UpstreamError: `invalid` if it is longer, `unavailable` if it
 * breaks off; or `signal.reason`.
 */
export async function readBody(
  answer: HttpAnswer,
  upstream: string,
  maxBytes: number,
  { signal }: CallOptions = {},
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > maxBytes) {
        throw new UpstreamError('invalid', upstream, `Cannot read answer of "${upstream}": too long`, {
          status: answer.status,
        })
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, bytes)
  } catch (err) {
    if (err instanceof UpstreamError) throw err
    throw signal?.aborted ? signal.reason : brokenBody(answer, upstream, err)
  } finally {
    answer.body.destroy()
  }
}

/** A body that broke off. It has a status: the upstream did answer, so a circuit does not count it. */
export function brokenBody(answer: HttpAnswer, upstream: string, cause: unknown): UpstreamError {
  const why = cause instanceof Error ? cause.message : 'unknown error'
  return new UpstreamError('unavailable', upstream, `Cannot read body from "${upstream}": ${why}`, {
    status: answer.status,
    cause,
  })
}

/** Whether that is such an error, and not for the time that the upstream took. */
export function isBreak(err: unknown): boolean {
  if (!(err instanceof UpstreamError) || err.failure !== 'unavailable' || err.status !== 200) return false
  return !(err.cause instanceof Error && 'code' in err.cause && err.cause.code === 'UND_ERR_BODY_TIMEOUT')
}

/** Discards an answer that is no success and makes the error that tells why; `action` is like `open blob "x"`. */
export async function refusal(
  answer: HttpAnswer,
  upstream: string,
  action: string,
  clock: Clock,
): Promise<UpstreamError> {
  await discard(answer)
  const { status } = answer
  return new UpstreamError(
    failureOf(answer),
    upstream,
    `Cannot ${action} at "${upstream}": ${answer.redirected ? `"${answer.origin}" ` : ''}answered ${status}`,
    { status, retryAfterMs: parseRetryAfter(answer.header('retry-after'), clock.now()) },
  )
}

/**
 * A 401 or 403 of a host that we were redirected to is about the signed URL we were given and not about the content:
 * asking again makes a new one.
 */
function failureOf({ status, redirected }: HttpAnswer): UpstreamFailure {
  if (status === 404) return 'unknown'
  if (status === 401 || status === 403) return redirected ? 'unavailable' : 'denied'
  if (status === 429) return 'limited'
  if (status === 408 || status >= 500) return 'unavailable'
  return 'invalid'
}

/** Parses Retry-After, seconds or an HTTP date, to milliseconds from `nowMs`; undefined if it is neither. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000
  const atMs = /[a-z]/i.test(header) ? Date.parse(header) : NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}
