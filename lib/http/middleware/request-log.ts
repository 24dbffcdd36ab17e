// What became of a request, for the application's log, under the field names of distribution, which log pipelines know:
// our own failures as errors, refusals as information, everything else for whoever debugs.
import type { Clock } from '../../clock.ts'
import { redactUrl, type Logger } from '../../log.ts'
import { errorCodes } from '../../oci/errors.ts'
import type { Context, Middleware, RequestState } from '../context.ts'
import { HttpError } from '../http-error.ts'
import { statusClientGone, whenClosed, type Outcome } from '../outcome.ts'

export function requestLog({
  logger,
  clock,
}: {
  readonly logger: Logger
  readonly clock: Clock
}): Middleware {
  return (ctx, next) => {
    whenClosed(ctx, clock, outcome => {
      const { status } = outcome
      if (status >= 500 && !isRefusal(ctx.state))
        logger.error(describe(ctx, outcome), 'response completed with error')
      else if (status >= 400 && status !== statusClientGone)
        logger.info(describe(ctx, outcome), 'response completed with error')
      else if (logger.isLevelEnabled('debug')) logger.debug(describe(ctx, outcome), 'response completed')
    })
    return next()
  }
}

function describe(ctx: Context, { status, sentBytes, durationMs }: Outcome): object {
  const { headers } = ctx.req
  return {
    'http.request.id': ctx.state.id,
    'http.request.method': ctx.method,
    'http.request.host': headers.host ?? '',
    'http.request.uri': redactUrl(ctx.originalUrl),
    'http.request.remoteaddr': ctx.state.clientAddress || '@',
    'http.request.useragent': headers['user-agent'] ?? '',
    ...(headers.referer !== undefined && { 'http.request.referer': redactUrl(headers.referer) }),
    ...(headers['content-type'] !== undefined && { 'http.request.contenttype': headers['content-type'] }),
    ...variablesOf(ctx),
    ...(ctx.state.grant?.principal !== undefined && { 'auth.user.name': ctx.state.grant.principal }),
    'http.response.status': status,
    'http.response.written': sentBytes,
    'http.response.duration': `${durationMs}ms`,
    ...(ctx.response.type !== '' && { 'http.response.contenttype': ctx.response.type }),
    ...failureOf(ctx),
  }
}

/** Whether it is the request that is wrong, although the status is one of the server's: 501 for a transfer coding. */
function isRefusal({ failure }: RequestState): boolean {
  return failure instanceof HttpError
}

/** What the path says. */
function variablesOf({ state }: Context): object {
  const { match } = state
  const params = match.kind === 'endpoint' ? match.params : undefined
  if (params === undefined) return {}
  const key = argumentKeys.get(match.name)
  return {
    'vars.name': params.name,
    ...(key !== undefined && params.argument !== '' && { [key]: params.argument }),
  }
}

/** By endpoint. */
const argumentKeys: ReadonlyMap<string, string> = new Map([
  ['manifest', 'vars.reference'],
  ['blob', 'vars.digest'],
  ['referrers', 'vars.digest'],
  ['blob-upload-chunk', 'vars.uuid'],
])

function failureOf({ state: { failure } }: Context): object {
  if (failure === undefined) return {}
  const { code, detail } = failure
  return {
    'err.code': code.toLowerCase().replaceAll('_', ' '),
    'err.message': errorCodes[code].message,
    ...(detail !== undefined && detail !== null && { 'err.detail': detail }),
  }
}
