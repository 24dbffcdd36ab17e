// GET: the way of `docker login` and `docker pull`, with Basic credentials or none. Source: distribution "Token
// Authentication Specification".
import { UnauthorizedError } from '../../auth/access-controller.ts'
import { basicChallenge } from '../../auth/challenge.ts'
import { parseBasic } from '../../auth/htpasswd/scheme.ts'
import { isGiven } from '../../auth/scheme.ts'
import { ScopeError, type ScopeEntry } from '../../auth/token-service/scope.ts'
import type { IssuedToken, TokenRequest, TokenService } from '../../auth/token-service/token-service.ts'
import { queryValue, type Context } from '../context.ts'
import { HttpError } from '../http-error.ts'
import { answerToken, forbidStoring, readScopes } from './answer.ts'
import type { TokenRoutesDeps } from './routes.ts'

export async function answerLogin(ctx: Context, deps: TokenRoutesDeps): Promise<void> {
  const { metrics, tokenService } = deps
  forbidStoring(ctx)
  refuseOtherService(ctx, tokenService)
  const request = {
    scopes: scopesOf(ctx, deps),
    offline: queryValue(ctx, 'offline_token') === 'true',
  }
  const { authorization } = ctx.req.headers
  const issued = await issue(ctx, tokenService, authorization, request)
  if (issued === undefined) throw new UnauthorizedError(basicChallenge(tokenService.issuer), { wanted: [] })
  metrics.tokensIssued.inc({ grant: isGiven(authorization) ? 'basic' : 'anonymous' })
  answerToken(ctx, issued)
}

async function issue(
  ctx: Context,
  tokenService: TokenService,
  authorization: string | undefined,
  request: TokenRequest,
): Promise<IssuedToken | undefined> {
  if (!isGiven(authorization)) return tokenService.anonymously(request)
  const login = parseBasic(authorization)
  const { clientAddress: address, signal } = ctx.state
  return login && tokenService.withPassword(login, request, { signal, address })
}

function scopesOf(ctx: Context, { address }: TokenRoutesDeps): readonly ScopeEntry[] {
  try {
    return readScopes(ctx, valuesOf(ctx, 'scope'), address)
  } catch (cause) {
    if (!(cause instanceof ScopeError)) throw cause
    throw new HttpError('UNSUPPORTED', cause.message, { status: 400, detail: cause.message, cause })
  }
}

function refuseOtherService(ctx: Context, { service }: TokenService): void {
  const asked = queryValue(ctx, 'service')
  if (asked === undefined || asked === service) return
  const detail = 'the service that is named is not this one'
  throw new HttpError('UNSUPPORTED', `Cannot give token: ${detail}`, { status: 400, detail })
}

function valuesOf(ctx: Context, name: string): readonly string[] {
  const value = ctx.query[name]
  return typeof value === 'string' ? [value] : (value ?? [])
}
