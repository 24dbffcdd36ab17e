// What both ways to a token share: the answer, and what is asked for.
import { formatScopes, parseScopes, type ScopeEntry } from '../../auth/token-service/scope.ts'
import type { IssuedToken } from '../../auth/token-service/token-service.ts'
import { isRepositoryName } from '../../oci/repository-name.ts'
import { answerJson, type Context } from '../context.ts'
import type { Address } from '../router.ts'

/**
 * What is asked for, under the names of the store: a client that was told to pull `docker.io/nginx` asks for that,
 * whatever the challenge named. Throws ScopeError.
 */
export function readScopes(ctx: Context, scopes: readonly string[], address: Address): readonly ScopeEntry[] {
  const { host } = ctx.req.headers
  return parseScopes(scopes).map(entry => {
    if (entry.type !== 'repository' || !isRepositoryName(entry.name)) return entry
    return { ...entry, name: address(entry.name, { host }) ?? entry.name }
  })
}

/** Neither tokens nor refusals are for anybody else. Source: RFC 6749, 5.1. */
export function forbidStoring(ctx: Context): void {
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Pragma', 'no-cache')
}

/** `token` and `access_token` are the same: clients look for one or the other. */
export function answerToken(ctx: Context, issued: IssuedToken): void {
  const { token, issuedAtMs, expiresInSeconds, granted, refreshToken } = issued
  answerJson(ctx, {
    token,
    access_token: token,
    token_type: 'Bearer',
    scope: formatScopes(granted),
    expires_in: expiresInSeconds,
    issued_at: new Date(issuedAtMs).toISOString(),
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
  })
}
