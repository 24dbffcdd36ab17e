// The scheme `token`: a service elsewhere gives out tokens that say what their bearer may do, and we read them.
// Source: distribution "Token Authentication Specification".
import type { Clock } from '../../clock.ts'
import type { TokenAuthConfig } from '../../config/auth.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import {
  UnauthorizedError,
  type Access,
  type AccessController,
  type Credentials,
  type Grant,
} from '../access-controller.ts'
import type { AccessRules } from '../access-rules.ts'
import { bearerChallenge, scopeOf, type BearerParameters } from '../challenge.ts'
import { grantTo, isGiven, isLetIn, knownCertificate } from '../scheme.ts'
import { openTrustedKeys } from './keys.ts'
import { createTokenVerifier, InvalidTokenError, type TokenAccess } from './verify.ts'

export interface TokenSchemeDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** What the configuration allows beside what tokens do; undefined: tokens alone decide. */
  readonly rules: AccessRules | undefined
}

/** Rejects where the files with keys cannot be read. */
export async function createTokenController(
  config: TokenAuthConfig,
  { clock, logger, metrics, rules }: TokenSchemeDeps,
): Promise<AccessController> {
  const keys = await openTrustedKeys(config, { clock, logger })
  const verify = createTokenVerifier(config, { keys, clock })

  function refuse(
    credentials: Credentials,
    wanted: readonly Access[],
    { error, cause }: { readonly error?: BearerParameters['error']; readonly cause?: unknown } = {},
  ): UnauthorizedError {
    const realm = realmFor(credentials, config)
    const challenge = bearerChallenge({ realm, service: config.service, scope: scopeOf(wanted), error })
    return new UnauthorizedError(challenge, { wanted, cause })
  }

  function withoutToken(credentials: Credentials, wanted: readonly Access[]): Grant {
    if (rules !== undefined && !isGiven(credentials.authorization)) {
      const principal = { name: undefined, certificate: knownCertificate(credentials, rules) }
      if (isLetIn(principal, wanted, { rules, asksWhoItIs: true })) return grantTo(principal, rules)
    }
    throw refuse(credentials, wanted)
  }

  return {
    async authorize(credentials, wanted) {
      const [, token] = /^bearer +(\S+) *$/i.exec(credentials.authorization ?? '') ?? []
      if (token === undefined) return withoutToken(credentials, wanted)
      try {
        const { subject, access } = await verify(token)
        const principal = { name: subject, certificate: rules && knownCertificate(credentials, rules) }
        const isCovered = (one: Access) => covers(access, one) && (rules?.allows(principal, one) ?? true)
        if (wanted.every(isCovered))
          return rules === undefined ? { principal: subject } : grantTo(principal, rules)
      } catch (cause) {
        if (!(cause instanceof InvalidTokenError)) throw cause
        metrics.authFailures.inc({ reason: 'token' })
        // distribution names no error where it cannot tell who has signed.
        throw refuse(credentials, wanted, { cause, ...(cause.isGenuine && { error: 'invalid_token' }) })
      }
      metrics.authFailures.inc({ reason: 'denied' })
      throw refuse(credentials, wanted, { error: 'insufficient_scope' })
    },
  }
}

function covers(granted: readonly TokenAccess[], { type, name, action, alias }: Access): boolean {
  return granted.some(
    entry =>
      entry.type === type &&
      (entry.name === name || (alias !== undefined && entry.name === alias)) &&
      (entry.actions.includes(action) || entry.actions.includes('*')),
  )
}

const host = /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

/** With autoredirect the service is found where we were. Source: distribution `auth.token.autoredirect`. */
function realmFor(
  credentials: Credentials,
  { realm, autoredirect, autoredirectpath }: TokenAuthConfig,
): string {
  if (!autoredirect || credentials.host === undefined || !host.test(credentials.host)) return realm
  const proto = credentials.forwardedProto === 'http' ? 'http' : 'https'
  return `${proto}://${credentials.host}${autoredirectpath}`
}
