// The scheme `htpasswd`: names and passwords by HTTP Basic (RFC 7617).
import type { Metrics } from '../../metrics.ts'
import { basicChallenge } from '../challenge.ts'
import type { PasswordVerifier } from '../passwords.ts'
import type { Scheme } from '../scheme.ts'

export interface HtpasswdSchemeDeps {
  readonly passwords: PasswordVerifier
  readonly metrics: Metrics
}

export function createHtpasswdScheme(
  { realm }: { readonly realm: string },
  { passwords, metrics }: HtpasswdSchemeDeps,
): Scheme {
  return {
    async identify({ authorization, address }, options) {
      const login = parseBasic(authorization)
      if (login === undefined) {
        metrics.authFailures.inc({ reason: 'malformed' })
        return undefined
      }
      const { user, password } = login
      return (await passwords.verify(user, password, { ...options, address })) ? user : undefined
    },
    challenge: () => basicChallenge(realm),
  }
}

/** The name ends at the first colon; undefined: not Basic, or not well-formed. */
export function parseBasic(
  authorization: string,
): { readonly user: string; readonly password: string } | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(authorization) ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}
