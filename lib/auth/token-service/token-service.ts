// Gives out tokens: whoever proves who they are, by password or refresh token, gets one that says what the rules let
// them do of what they ask for. It knows nothing of HTTP.
import type { JSONWebKeySet } from 'jose'
import type { Clock } from '../../clock.ts'
import type { TokenServiceConfig } from '../../config/auth.ts'
import type { Logger } from '../../log.ts'
import type { AccessRules } from '../access-rules.ts'
import type { PasswordVerifier, VerifyOptions } from '../passwords.ts'
import { anyone, type Principal } from '../principal.ts'
import { KeyRing } from './key-ring.ts'
import { keepInDirectory, keepInMemory, type KeyStore } from './key-store.ts'
import type { ScopeEntry } from './scope.ts'
import { createTokens, InvalidTokenError, type SignedToken, type Tokens } from './tokens.ts'

export interface TokenService {
  readonly issuer: string
  readonly service: string
  /** Path that clients find it at. */
  readonly path: string
  readonly tokens: Tokens
  /** undefined: the password is wrong. TooManyAttemptsError. */
  withPassword(login: Login, request: TokenRequest, options?: VerifyOptions): Promise<IssuedToken | undefined>
  /** undefined: the refresh token is not good, or no longer. */
  withRefreshToken(refreshToken: string, request: TokenRequest): Promise<IssuedToken | undefined>
  /** undefined: nobody may do any of it without saying who they are. */
  anonymously(request: TokenRequest): Promise<IssuedToken | undefined>
  publicKeys(): Promise<JSONWebKeySet>
}

export interface Login {
  readonly user: string
  readonly password: string
}

export interface TokenRequest {
  readonly scopes: readonly ScopeEntry[]
  /** Whether a refresh token is wanted. */
  readonly offline: boolean
}

export interface IssuedToken extends SignedToken {
  readonly granted: readonly ScopeEntry[]
  readonly refreshToken: string | undefined
}

export interface TokenServiceDeps {
  readonly passwords: PasswordVerifier
  readonly rules: AccessRules
  readonly clock: Clock
  readonly logger: Logger
}

/** Rejects if the directory of keys cannot be read, or written to where it has none. */
export async function createTokenService(
  config: TokenServiceConfig,
  { passwords, rules, clock, logger }: TokenServiceDeps,
): Promise<TokenService> {
  const { issuer, service, path } = config
  const ring = await KeyRing.open({
    ...ringSettings(config),
    store: await openStore(config, logger),
    clock,
    logger,
  })
  const tokens = createTokens(config, { ring, clock })

  async function issue(user: string | undefined, { scopes, offline }: TokenRequest): Promise<IssuedToken> {
    const granted = grantedOf(rules, user === undefined ? anyone : { name: user }, scopes)
    const entry = user !== undefined && offline ? await passwords.fingerprint?.(user) : undefined
    const refreshToken =
      user === undefined || entry === undefined ? undefined : await tokens.signRefresh(user, entry)
    return { ...(await tokens.signAccess(user, granted)), granted, refreshToken }
  }

  return {
    issuer,
    service,
    path,
    tokens,
    async withPassword({ user, password }, request, options) {
      return (await passwords.verify(user, password, options)) ? issue(user, request) : undefined
    },
    async withRefreshToken(refreshToken, request) {
      try {
        const user = await tokens.verifyRefresh(
          refreshToken,
          async name => await passwords.fingerprint?.(name),
        )
        return { ...(await issue(user, { ...request, offline: false })), refreshToken }
      } catch (err) {
        if (!(err instanceof InvalidTokenError)) throw err
        logger.info({ err }, 'refused a refresh token')
        return undefined
      }
    },
    async anonymously(request) {
      const mayDoSomething =
        request.scopes.length === 0
          ? rules.allows(anyone, { type: 'registry', name: 'catalog', action: '*' })
          : grantedOf(rules, anyone, request.scopes).length > 0
      return mayDoSomething ? issue(undefined, { ...request, offline: false }) : undefined
    },
    publicKeys: () => ring.published(),
  }
}

/** How long keys live follows from what they sign. */
export function ringSettings({ rotationMs, expiryMs, refreshExpiryMs }: TokenServiceConfig) {
  return { rotationMs, longestLifeMs: Math.max(expiryMs, refreshExpiryMs) }
}

async function openStore({ keys }: TokenServiceConfig, logger: Logger): Promise<KeyStore> {
  if (keys !== undefined) return keepInDirectory(keys, logger)
  logger.warn(
    'tokenservice.keys is not set: tokens are signed with a key that ends with this process, and every login with it',
  )
  return keepInMemory()
}

/** What the rules let the principal do of what is asked for; entries of which nothing is left are gone. */
function grantedOf(
  rules: AccessRules,
  principal: Principal,
  scopes: readonly ScopeEntry[],
): readonly ScopeEntry[] {
  return scopes
    .map(scope => ({
      ...scope,
      actions: scope.actions.filter(action =>
        rules.allows(principal, { type: scope.type, name: scope.name, action }),
      ),
    }))
    .filter(({ actions }) => actions.length > 0)
}
