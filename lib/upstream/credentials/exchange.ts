// One request to a service that gives tokens for something secret: a refresh token, a signed assertion, or being the
// machine that one is. It follows no redirect and says nothing of what it sent or got, not even in a cause:
// JSON.parse() quotes what it cannot read.
import { request, type Dispatcher } from 'undici'
import type { Clock } from '../../clock.ts'
import { readBody, refusal, type HttpAnswer } from '../answer.ts'
import { UpstreamError } from '../errors.ts'

export interface ExchangeRequest {
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  /** Sent by POST; without it the request is a GET. */
  readonly form?: Readonly<Record<string, string>>
  /** What for, such as `get token for "x"`. */
  readonly action: string
}

export interface ExchangeDeps {
  /** Name of the upstream that this is for. */
  readonly upstream: string
  /** Whose connections lead to a URL; may throw where none may. Default undici's global ones, which lead anywhere. */
  readonly dispatcherFor?: ((url: URL) => Dispatcher) | undefined
  readonly clock: Clock
}

const maxAnswerBytes = 256 * 1024
/** For all of it, since nobody's signal ends a request that many wait for. */
const deadlineMs = 30_000

/**
 * The answer's JSON, undefined if it is none. Throws UpstreamError: `denied`, `limited`, `unavailable`, and `invalid`
 * for every other answer that is no success.
 */
export async function exchange(wanted: ExchangeRequest, deps: ExchangeDeps): Promise<unknown> {
  const { action } = wanted
  const { upstream, clock } = deps
  const deadline = AbortSignal.timeout(deadlineMs)
  try {
    const answer = await send(wanted, deps, deadline)
    if (answer.status !== 200) throw withoutUnknown(await refusal(answer, upstream, action, clock))
    return parseJson(await readBody(answer, upstream, maxAnswerBytes, { signal: deadline }))
  } catch (err) {
    if (err instanceof UpstreamError) throw err
    const reason = deadline.aborted ? `no answer in ${deadlineMs} ms` : codeOf(err)
    throw new UpstreamError('unavailable', upstream, `Cannot ${action} at "${wanted.url.origin}": ${reason}`)
  }
}

/** A token service that is not there says nothing about whether the content is. */
export function withoutUnknown(error: UpstreamError): UpstreamError {
  if (error.failure !== 'unknown') return error
  return new UpstreamError('invalid', error.upstream, error.message, { status: error.status })
}

/** Undefined where it is none. */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

async function send(
  { url, headers, form }: ExchangeRequest,
  { dispatcherFor }: ExchangeDeps,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const {
    statusCode,
    headers: answered,
    body,
  } = await request(url, {
    method: form === undefined ? 'GET' : 'POST',
    headers: {
      accept: 'application/json',
      ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
    ...(form === undefined ? {} : { body: new URLSearchParams(form).toString() }),
    ...(dispatcherFor === undefined ? {} : { dispatcher: dispatcherFor(url) }),
    signal,
  })
  // Without a listener, an error of a body that nobody reads yet would end the process; readers still see it.
  body.on('error', () => {})
  const headerLines = (name: string) => [answered[name] ?? []].flat()
  return {
    status: statusCode,
    body,
    origin: url.origin,
    redirected: false,
    header: name => headerLines(name)[0],
    headerLines,
  }
}

function codeOf(err: unknown): string {
  if (!(err instanceof Error)) return 'unknown error'
  return 'code' in err && typeof err.code === 'string' ? err.code : err.name
}
