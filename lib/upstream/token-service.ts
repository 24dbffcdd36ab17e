// The token service of a registry: one GET for one scope. Source: distribution-spec leaves authentication out; the
// protocol is distribution's "Token Authentication Specification". Nothing of a token or a password gets into an
// error, not even as a cause: JSON.parse() quotes what it cannot read.
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { readBody, refusal, type HttpAnswer } from './answer.ts'
import { UpstreamError } from './errors.ts'
import type { Token } from './tokens.ts'
import type { Transport } from './transport.ts'

export interface TokenRequest {
  readonly realm: URL
  readonly service: string | undefined
  readonly scope: string
  /** Undefined asks as anybody. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined
}

export interface TokenServiceDeps {
  readonly upstream: string
  readonly transport: Transport
  readonly clock: Clock
}

const maxAnswerBytes = 256 * 1024
/** For all of it, since nobody's signal ends a shared fetch. */
const deadlineMs = 30_000
/** What the protocol says of an answer without `expires_in`. */
const defaultLifeMs = 60_000

const secret = z.string().regex(/^[\x21-\x7e]+$/)
const document = z.object({
  token: secret.nullish(),
  access_token: secret.nullish(),
  expires_in: z.unknown().optional(),
})

/**
 * Fetches a token; it counts as expired 10 s, or a tenth of its life if that is less, before its end. Throws
 * UpstreamError: `denied` for refused credentials, `limited`, `unavailable`, and `invalid` for everything else.
 */
export async function fetchToken(request: TokenRequest, deps: TokenServiceDeps): Promise<Token> {
  const { upstream, transport, clock } = deps
  const { credentials, scope } = request
  const askedAtMs = clock.now()
  const signal = AbortSignal.timeout(deadlineMs)
  try {
    const answer = await transport.send(
      {
        operation: 'token',
        method: 'GET',
        url: toUrl(request),
        headers: { accept: 'application/json' },
        authorization: credentials === undefined ? undefined : basicAuthorization(credentials),
      },
      { signal },
    )
    if (answer.status !== 200) throw await tokenRefusal(answer, scope, deps)
    const body = await readBody(answer, upstream, maxAnswerBytes, { signal })
    return parseToken(body, askedAtMs) ?? invalid(upstream, scope)
  } catch (err) {
    if (!signal.aborted) throw err
    const message = `Cannot get token for "${scope}" at "${upstream}": no answer in ${deadlineMs} ms`
    throw new UpstreamError('unavailable', upstream, message)
  }
}

/** A token service that is not there says nothing about whether the content is. */
async function tokenRefusal(
  answer: HttpAnswer,
  scope: string,
  deps: TokenServiceDeps,
): Promise<UpstreamError> {
  const { upstream, clock } = deps
  const error = await refusal(answer, upstream, `get token for "${scope}"`, clock)
  if (error.failure !== 'unknown') return error
  return new UpstreamError('invalid', upstream, error.message, { status: error.status })
}

/** The value of Authorization. */
export function basicAuthorization(credentials: {
  readonly username: string
  readonly password: string
}): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`
}

function toUrl({ realm, service, scope, credentials }: TokenRequest): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope)
  if (credentials !== undefined) url.searchParams.set('account', credentials.username)
  return url
}

function parseToken(body: Buffer, askedAtMs: number): Token | undefined {
  const parsed = document.safeParse(parseJson(body))
  const value = parsed.data?.token ?? parsed.data?.access_token
  if (value === undefined || value === null) return undefined
  const seconds = Number(parsed.data?.expires_in)
  const lifeMs = seconds > 0 && Number.isFinite(seconds) ? seconds * 1000 : defaultLifeMs
  return { value, expiresAtMs: askedAtMs + lifeMs - Math.min(10_000, lifeMs / 10) }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function invalid(upstream: string, scope: string): never {
  throw new UpstreamError(
    'invalid',
    upstream,
    `Cannot get token for "${scope}" at "${upstream}": no token in the answer`,
  )
}
