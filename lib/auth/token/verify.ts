// Whether a token is what it says: signed by a key that we trust, by its issuer, for us, and now. Which key is ours to
// choose; what the token says about keys is a hint at best.
import { compactVerify, decodeProtectedHeader, errors, type ProtectedHeaderParameters } from 'jose'
import * as z from 'zod'
import type { Clock } from '../../clock.ts'
import type { TokenAuthConfig, SigningAlgorithm } from '../../config/auth.ts'
import { fits } from './algorithm.ts'
import { keyOfChain } from './certificate-chain.ts'
import type { TrustedKey, TrustedKeys } from './keys.ts'

export interface TokenClaims {
  /** undefined: nobody in particular. */
  readonly subject: string | undefined
  readonly access: readonly TokenAccess[]
}

export interface TokenAccess {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

/** `isGenuine`: the signature is good, and it is what the token says that does not count (any longer, or here). */
export class InvalidTokenError extends Error {
  override readonly name = 'InvalidTokenError'
  readonly isGenuine: boolean

  constructor(reason: string, options: { readonly isGenuine: boolean; readonly cause?: unknown }) {
    super(`Cannot accept token: ${reason}`, { cause: options.cause })
    this.isGenuine = options.isGenuine
  }
}

export interface VerifierDeps {
  readonly keys: () => Promise<TrustedKeys>
  readonly clock: Clock
}

export type TokenVerifier = (token: string) => Promise<TokenClaims>

/** Characters. Chains of certificates take some thousand. */
const maxLength = 32 * 1024
const leewayMs = 60_000

/** The result throws InvalidTokenError. */
export function createTokenVerifier(config: TokenAuthConfig, { keys, clock }: VerifierDeps): TokenVerifier {
  return async token => {
    if (token.length > maxLength) throw new InvalidTokenError('it is too long', { isGenuine: false })
    const payload = await verifiedPayload(token, config.signingalgorithms, {
      keys: await keys(),
      nowMs: clock.now(),
    })
    return checkClaims(parseClaims(payload), config, clock.now())
  }
}

async function verifiedPayload(
  token: string,
  algorithms: readonly SigningAlgorithm[],
  trust: { readonly keys: TrustedKeys; readonly nowMs: number },
): Promise<Uint8Array> {
  try {
    const header = decodeProtectedHeader(token)
    const algorithm = algorithms.find(known => known === header.alg)
    if (algorithm === undefined)
      throw new InvalidTokenError('its algorithm is not allowed', { isGenuine: false })
    const trusted = chooseKey(header, trust)
    if (trusted === undefined) throw new InvalidTokenError('its key is not trusted', { isGenuine: false })
    const { key } = trusted
    if (!fits(algorithm, key) || (trusted.algorithm ?? algorithm) !== algorithm)
      throw new InvalidTokenError('its algorithm is not that of its key', { isGenuine: false })
    return (await compactVerify(token, key, { algorithms: [algorithm] })).payload
  } catch (cause) {
    if (cause instanceof InvalidTokenError) throw cause
    if (!(cause instanceof errors.JOSEError) && !(cause instanceof TypeError)) throw cause
    throw new InvalidTokenError('it is malformed, or its signature is wrong', { isGenuine: false, cause })
  }
}

/** Certificates, if there are any; else a key that the token names. A key that it brings is good only if known. */
function chooseKey(
  { x5c, jwk, kid }: ProtectedHeaderParameters & { readonly jwk?: unknown },
  { keys, nowMs }: { readonly keys: TrustedKeys; readonly nowMs: number },
): TrustedKey | undefined {
  const embedded = asRecord(jwk)
  const chain = x5c ?? embedded?.['x5c']
  if (chain !== undefined) {
    const key = keyOfChain(chain, keys.roots, nowMs)
    return key && { key, algorithm: undefined }
  }
  const id = embedded === undefined ? kid : embedded['kid']
  return typeof id === 'string' ? keys.byId.get(id) : undefined
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : undefined
}

const claimsOfToken = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  exp: z.number(),
  nbf: z.number().nullish(),
  sub: z.string().nullish(),
  access: z
    .array(z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()).nullish() }))
    .nullish(),
})
type Claims = z.output<typeof claimsOfToken>

function parseClaims(payload: Uint8Array): Claims {
  try {
    return claimsOfToken.parse(JSON.parse(Buffer.from(payload).toString('utf8')))
  } catch (cause) {
    throw new InvalidTokenError('its claims are malformed', { isGenuine: true, cause })
  }
}

function checkClaims(
  { iss, aud, exp, nbf, sub, access }: Claims,
  { issuer, service }: TokenAuthConfig,
  nowMs: number,
): TokenClaims {
  const refuse = (reason: string) => new InvalidTokenError(reason, { isGenuine: true })
  if (iss !== issuer) throw refuse('it is of another issuer')
  if (!(typeof aud === 'string' ? aud === service : aud.includes(service)))
    throw refuse('it is for another service')
  if (nowMs > exp * 1000 + leewayMs) throw refuse('it has expired')
  if (typeof nbf === 'number' && nowMs < nbf * 1000 - leewayMs) throw refuse('it is not valid yet')
  return {
    subject: sub === '' ? undefined : (sub ?? undefined),
    access: (access ?? []).map(entry => ({ ...entry, actions: entry.actions ?? [] })),
  }
}
