// The two kinds of tokens and what tells them apart: both are signed by the same keys, so each names its kind in the
// header (`typ`) and in its audience, and neither is ever good as the other.
//
// - Access tokens say what may be done (claim `access`), for minutes. Any registry that has the public keys reads them.
// - Refresh tokens say who somebody is, for weeks, and are good for nothing but new access tokens here. They carry a
//   fingerprint of the user's password entry: when that changes or goes, so does the token.
import { randomUUID, timingSafeEqual } from 'node:crypto'
import { errors, jwtVerify, SignJWT, type JWTVerifyResult } from 'jose'
import * as z from 'zod'
import type { Clock } from '../../clock.ts'
import type { KeyRing } from './key-ring.ts'
import type { ScopeEntry } from './scope.ts'
import { algorithm, type SigningKey } from './signing-key.ts'

export interface TokenSettings {
  readonly issuer: string
  readonly service: string
  readonly expiryMs: number
  readonly refreshExpiryMs: number
}

export interface Tokens {
  /** `user` undefined: of nobody in particular. `lifeMs` is of this token alone. */
  signAccess(user: string | undefined, access: readonly ScopeEntry[], lifeMs?: number): Promise<SignedToken>
  /** Throws InvalidTokenError. */
  verifyAccess(token: string): Promise<AccessClaims>
  /** `entry` is what changes with the user's password. */
  signRefresh(user: string, entry: string): Promise<string>
  /** Whose it is; `entryOf` tells what the user's entry is now. Throws InvalidTokenError. */
  verifyRefresh(token: string, entryOf: (user: string) => Promise<string | undefined>): Promise<string>
}

export interface SignedToken {
  readonly token: string
  readonly issuedAtMs: number
  readonly expiresInSeconds: number
}

export interface AccessClaims {
  readonly user: string | undefined
  readonly access: readonly Pick<ScopeEntry, 'type' | 'name' | 'actions'>[]
}

/** Not a token of ours, of another kind, expired, or revoked. Why is nobody's business but the log's. */
export class InvalidTokenError extends Error {
  override readonly name = 'InvalidTokenError'
}

const accessType = 'JWT'
const refreshType = 'refresh+jwt'
const leewaySeconds = 60
/** Clocks of registries that read our tokens may be behind ours. */
const backdatedSeconds = 30
/** Characters. 64 scopes of the longest names make about 20,000. */
const maxLength = 64 * 1024

const accessClaims = z.object({
  sub: z.string(),
  access: z.array(
    z.object({
      type: z.enum(['repository', 'registry']),
      name: z.string(),
      actions: z.array(z.enum(['pull', 'push', 'delete', '*'])),
    }),
  ),
})
const refreshClaims = z.object({ sub: z.string().min(1), service: z.string(), pwd: z.string() })

export function createTokens(
  { issuer, service, expiryMs, refreshExpiryMs }: TokenSettings,
  { ring, clock }: { readonly ring: Pick<KeyRing, 'signer' | 'find'>; readonly clock: Clock },
): Tokens {
  // No registry is meant by it, whatever registries call themselves: `service` is a name without spaces.
  const refreshAudience = `${issuer} refresh`

  async function sign(
    claims: { readonly aud: string; readonly sub: string; readonly typ: string; readonly lifeMs: number },
    more: (key: SigningKey) => Readonly<Record<string, unknown>>,
  ): Promise<SignedToken> {
    const key = await ring.signer()
    const issuedAtMs = clock.now()
    const issuedAt = Math.floor(issuedAtMs / 1000)
    const expiresInSeconds = Math.max(1, Math.floor(claims.lifeMs / 1000))
    const token = await new SignJWT({ ...more(key) })
      .setProtectedHeader({ alg: algorithm, typ: claims.typ, kid: key.kid })
      .setIssuer(issuer)
      .setSubject(claims.sub)
      .setAudience(claims.aud)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt - backdatedSeconds)
      .setExpirationTime(issuedAt + expiresInSeconds)
      .setJti(randomUUID())
      .sign(key.privateKey)
    return { token, issuedAtMs, expiresInSeconds }
  }

  async function verify<T>(token: string, audience: string, typ: string, claims: z.ZodType<T>) {
    if (token.length > maxLength) throw new InvalidTokenError('Cannot accept token: too long')
    let key: SigningKey | undefined
    let verified: JWTVerifyResult
    try {
      verified = await jwtVerify(
        token,
        async ({ kid }) => {
          key = kid === undefined ? undefined : await ring.find(kid)
          if (key === undefined) throw new InvalidTokenError('Cannot accept token: its key is unknown')
          return key.publicKey
        },
        {
          algorithms: [algorithm],
          issuer,
          audience,
          typ,
          clockTolerance: leewaySeconds,
          currentDate: new Date(clock.now()),
          requiredClaims: ['exp', 'sub'],
        },
      )
    } catch (cause) {
      if (cause instanceof InvalidTokenError) throw cause
      if (!(cause instanceof errors.JOSEError)) throw cause
      throw new InvalidTokenError('Cannot accept token: it does not verify', { cause })
    }
    const parsed = claims.safeParse(verified.payload)
    if (key === undefined || !parsed.success)
      throw new InvalidTokenError('Cannot accept token: a claim is missing or malformed')
    return { claims: parsed.data, key }
  }

  return {
    signAccess: (user, access, lifeMs = expiryMs) =>
      sign({ aud: service, sub: user ?? '', typ: accessType, lifeMs }, () => ({ access })),
    async verifyAccess(token) {
      const { claims } = await verify(token, service, accessType, accessClaims)
      return { user: claims.sub === '' ? undefined : claims.sub, access: claims.access }
    },
    async signRefresh(user, entry) {
      const { token } = await sign(
        { aud: refreshAudience, sub: user, typ: refreshType, lifeMs: refreshExpiryMs },
        key => ({ service, pwd: fingerprintOf(key, user, entry) }),
      )
      return token
    },
    async verifyRefresh(token, entryOf) {
      const { claims, key } = await verify(token, refreshAudience, refreshType, refreshClaims)
      const { sub: user, pwd } = claims
      if (claims.service !== service)
        throw new InvalidTokenError('Cannot accept token: it is for another service')
      const entry = await entryOf(user)
      if (entry === undefined || !isSame(pwd, fingerprintOf(key, user, entry)))
        throw new InvalidTokenError('Cannot accept token: the password of its user has changed')
      return user
    },
  }
}

function fingerprintOf(key: SigningKey, user: string, entry: string): string {
  return key.fingerprint(JSON.stringify([user, entry]))
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
