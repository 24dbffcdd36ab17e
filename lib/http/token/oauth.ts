// POST: OAuth2, with a password or a refresh token. Source: distribution "OAuth2 Token Authentication"; RFC 6749.
import { TooManyAttemptsError } from '../../auth/access-controller.ts'
import { ScopeError } from '../../auth/token-service/scope.ts'
import type { IssuedToken, TokenRequest } from '../../auth/token-service/token-service.ts'
import { answerJson, type Context } from '../context.ts'
import { answerToken, forbidStoring, readScopes } from './answer.ts'
import { readForm } from './form.ts'
import { OAuthError } from './oauth-error.ts'
import type { TokenRoutesDeps } from './routes.ts'

export async function answerOAuth(ctx: Context, deps: TokenRoutesDeps): Promise<void> {
  forbidStoring(ctx)
  try {
    const form = await readForm(ctx)
    const grant = form.get('grant_type')
    const issued = await issue(ctx, deps, form)
    deps.metrics.tokensIssued.inc({ grant: grant === 'password' ? 'password' : 'refresh_token' })
    answerToken(ctx, issued)
  } catch (err) {
    const { status, code, message } = toOAuthError(err)
    if (err instanceof TooManyAttemptsError)
      ctx.set('Retry-After', String(Math.ceil(err.retryAfterMs / 1000)))
    ctx.status = status
    answerJson(ctx, { error: code, error_description: message })
  }
}

async function issue(ctx: Context, deps: TokenRoutesDeps, form: URLSearchParams): Promise<IssuedToken> {
  const { tokenService } = deps
  const { clientAddress: address, signal } = ctx.state
  const request = readRequest(ctx, deps, form)
  switch (form.get('grant_type')) {
    case 'password': {
      const login = { user: required(form, 'username'), password: required(form, 'password') }
      const issued = await tokenService.withPassword(login, request, { signal, address })
      if (issued === undefined)
        throw new OAuthError('invalid_grant', 'the user name or the password is wrong')
      return issued
    }
    case 'refresh_token': {
      const issued = await tokenService.withRefreshToken(required(form, 'refresh_token'), request)
      if (issued === undefined)
        throw new OAuthError('invalid_grant', 'the refresh token has expired, was revoked, or is none')
      return issued
    }
    case null:
      throw new OAuthError('invalid_request', 'grant_type is missing')
    default:
      throw new OAuthError('unsupported_grant_type', 'expected password or refresh_token')
  }
}

function readRequest(
  ctx: Context,
  { tokenService, address }: TokenRoutesDeps,
  form: URLSearchParams,
): TokenRequest {
  const asked = form.get('service')
  if (asked !== null && asked !== '' && asked !== tokenService.service)
    throw new OAuthError('invalid_request', 'the service that is named is not this one')
  return {
    scopes: readScopes(ctx, form.getAll('scope'), address),
    offline: form.get('access_type') === 'offline',
  }
}

function required(form: URLSearchParams, name: string): string {
  const value = form.get(name)
  if (value === null || value === '') throw new OAuthError('invalid_request', `${name} is missing`)
  return value
}

/** What is no refusal of the request goes on as it is. */
function toOAuthError(err: unknown): OAuthError {
  if (err instanceof OAuthError) return err
  if (err instanceof ScopeError) return new OAuthError('invalid_scope', err.message)
  if (err instanceof TooManyAttemptsError) return new OAuthError('slow_down', 'too many attempts', 429)
  throw err
}
