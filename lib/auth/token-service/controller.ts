// Lets in who has a token of our own service, and, for clients that know no tokens, who sends a name and a password
// with each request. Everybody else is told where tokens are.
//
// A token says what it lets its holder do, and is believed until it expires: that is what makes it cheap. What a list
// shows follows the rules as they are.
import {
  UnauthorizedError,
  type Access,
  type AccessController,
  type Credentials,
} from '../access-controller.ts'
import { bearerChallenge, scopeOf, type BearerParameters } from '../challenge.ts'
import { createHtpasswdScheme } from '../htpasswd/scheme.ts'
import type { PasswordVerifier } from '../passwords.ts'
import { createRuledController, grantTo, type AccessDeps } from '../scheme.ts'
import type { TokenService } from './token-service.ts'
import { InvalidTokenError, type AccessClaims } from './tokens.ts'

export interface TokenServiceControllerDeps extends AccessDeps {
  readonly tokenService: TokenService
  readonly passwords: PasswordVerifier
  /** Where the client of this request finds the service. */
  realmOf(credentials: Credentials): string
}

export function createTokenServiceController(deps: TokenServiceControllerDeps): AccessController {
  const { metrics, realmOf, rules, tokenService } = deps
  const { service, tokens } = tokenService

  function challenge(
    credentials: Credentials,
    wanted: readonly Access[],
    error?: BearerParameters['error'],
  ): string {
    return bearerChallenge({ realm: realmOf(credentials), service, scope: scopeOf(wanted), error })
  }

  const { identify } = createHtpasswdScheme({ realm: service }, deps)
  const withoutToken = createRuledController({ identify, challenge }, deps)

  async function read(token: string, credentials: Credentials, wanted: readonly Access[]) {
    try {
      return await tokens.verifyAccess(token)
    } catch (cause) {
      if (!(cause instanceof InvalidTokenError)) throw cause
      metrics.authFailures.inc({ reason: 'token' })
      throw new UnauthorizedError(challenge(credentials, wanted, 'invalid_token'), { wanted, cause })
    }
  }

  return {
    async authorize(credentials, wanted, options) {
      const token = /^bearer +(\S+) *$/i.exec(credentials.authorization ?? '')?.[1]
      if (token === undefined) return withoutToken.authorize(credentials, wanted, options)
      const claims = await read(token, credentials, wanted)
      if (wanted.every(access => covers(claims, access))) return grantTo({ name: claims.user }, rules)
      metrics.authFailures.inc({ reason: 'denied' })
      throw new UnauthorizedError(challenge(credentials, wanted, 'insufficient_scope'), { wanted })
    },
  }
}

/** Names are those of the store: the service puts no others into its tokens. */
function covers({ access }: AccessClaims, { type, name, action }: Access): boolean {
  return access.some(
    entry =>
      entry.type === type &&
      entry.name === name &&
      (entry.actions.includes(action) || entry.actions.includes('*')),
  )
}
