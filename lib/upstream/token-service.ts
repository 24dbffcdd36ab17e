// The token service of a registry: one request for one scope, by GET, or by POST for those who have an identity token.
// Source: distribution-spec leaves authentication out; the protocols are distribution's "Token Authentication
// Specification" and its "Oauth2 Token Authentication". Nothing of a token or a password gets into an error.
import type { Dispatcher } from 'undici'
import * as z from 'zod'
import type { Clock } from '../clock.ts'
import { readBody, refusal } from './answer.ts'
import { isIdentityToken, type Credentials } from './credentials/credential-source.ts'
import { exchange, parseJson, withoutUnknown } from './credentials/exchange.ts'
import { perishable, type Perishable } from './credentials/renewed.ts'
import { UpstreamError } from './errors.ts'
import type { Transport } from './transport.ts'

export interface TokenRequest {
  readonly realm: URL
  readonly service: string | undefined
  readonly scope: string
  /** Undefined asks as anybody. */
  readonly credentials: Credentials | undefined
}

export interface TokenServiceDeps {
  readonly upstream: string
  readonly transport: Transport
  /** Whose connections are used for POST; default undici's global ones. */
  readonly dispatcherFor?: ((url: URL) => Dispatcher) | undefined
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
 * Fetches a token. Throws UpstreamError: `denied` for refused credentials, `limited`, `unavailable`, and `invalid` for
 * everything else.
 */
export async function fetchToken(request: TokenRequest, deps: TokenServiceDeps): Promise<Perishable<string>> {
  const { upstream, clock } = deps
  const { credentials, scope } = request
  const askedAtMs = clock.now()
  const answer =
    credentials !== undefined && isIdentityToken(credentials)
      ? await exchangeIdentityToken(request, credentials.password, deps)
      : await getToken(request, deps)
  const token = parseToken(answer, askedAtMs)
  if (token !== undefined) return token
  const message = `Cannot get token for "${scope}" at "${upstream}": no token in the answer`
  throw new UpstreamError('invalid', upstream, message)
}

/** The value of Authorization. */
export function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

async function getToken(request: TokenRequest, deps: TokenServiceDeps): Promise<unknown> {
  const { upstream, transport, clock } = deps
  const { credentials, scope } = request
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
    if (answer.status !== 200) {
      throw withoutUnknown(await refusal(answer, upstream, `get token for "${scope}"`, clock))
    }
    return parseJson(await readBody(answer, upstream, maxAnswerBytes, { signal }))
  } catch (err) {
    if (!signal.aborted) throw err
    const message = `Cannot get token for "${scope}" at "${upstream}": no answer in ${deadlineMs} ms`
    throw new UpstreamError('unavailable', upstream, message)
  }
}

function toUrl({ realm, service, scope, credentials }: TokenRequest): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope)
  if (credentials !== undefined) url.searchParams.set('account', credentials.username)
  return url
}

/** The new refresh token that an answer may have is left: the one we were given is the operator's to renew. */
async function exchangeIdentityToken(
  { realm, service, scope }: TokenRequest,
  identityToken: string,
  deps: TokenServiceDeps,
): Promise<unknown> {
  const form = {
    grant_type: 'refresh_token',
    refresh_token: identityToken,
    client_id: 'entrepot',
    scope,
    ...(service === undefined ? {} : { service }),
  }
  return await exchange({ url: realm, form, action: `get token for "${scope}"` }, deps)
}

function parseToken(answer: unknown, askedAtMs: number): Perishable<string> | undefined {
  const parsed = document.safeParse(answer)
  const value = parsed.data?.token ?? parsed.data?.access_token
  if (value === undefined || value === null) return undefined
  const seconds = Number(parsed.data?.expires_in)
  const lifeMs = seconds > 0 && Number.isFinite(seconds) ? seconds * 1000 : defaultLifeMs
  return perishable(value, askedAtMs, lifeMs)
}
