// The only place that writes an error body. Everything below throws; what a RegistryError says goes to the client,
// anything else is our own failure and tells the client nothing. A client that has left gets no answer at all.
import { TooManyAttemptsError, UnauthorizedError } from '../../auth/access-controller.ts'
import type { Logger } from '../../log.ts'
import { errorCodes, ReferencesUnknownError, RegistryError } from '../../oci/errors.ts'
import { TagImmutableError } from '../../registry/tag-policy.ts'
import { UpstreamError } from '../../upstream/errors.ts'
import type { Context, Middleware } from '../context.ts'
import { HttpError } from '../http-error.ts'

export function renderErrors({ logger }: { readonly logger: Logger }): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (err) {
      if (ctx.state.isAbandoned) {
        ctx.respond = false
        return
      }
      const shown = err instanceof RegistryError ? err : new RegistryError('UNKNOWN', 'Cannot answer request')
      const status = statusOf(shown)
      ctx.state.failure = shown
      if (shown instanceof UpstreamError)
        logger.warn({ err }, 'cannot answer request: its upstream is in trouble')
      else if (status >= 500 && !(shown instanceof HttpError)) logger.error({ err }, 'cannot answer request')
      if (ctx.headerSent) {
        ctx.res.destroy()
        return
      }
      render(ctx, shown, status)
    }
  }
}

function render(ctx: Context, err: RegistryError, status: number): void {
  if (ctx.res.hasHeader('ETag') || ctx.res.hasHeader('X-Cache'))
    for (const name of ofContent) ctx.remove(name)
  ctx.set(headersOf(err))
  ctx.set('Content-Type', 'application/json')
  ctx.status = status
  ctx.body = `${JSON.stringify({ errors: itemsOf(err) })}\n`
}

/** An answer that was begun has set these already: an error must not be taken, or kept by a cache, for the content. */
const ofContent = [
  'Age',
  'Accept-Ranges',
  'Cache-Control',
  'Content-Length',
  'Content-Range',
  'Docker-Content-Digest',
  'ETag',
  'Warning',
  'X-Cache',
]

function statusOf(err: RegistryError): number {
  if (err instanceof TagImmutableError) return 409
  return err instanceof HttpError ? err.status : errorCodes[err.code].status
}

function headersOf(err: RegistryError): Readonly<Record<string, string>> {
  if (err instanceof HttpError) return err.headers
  if (err instanceof UnauthorizedError) return { 'WWW-Authenticate': err.challenge }
  if (err instanceof TooManyAttemptsError)
    return { 'Retry-After': String(Math.max(1, Math.ceil(err.retryAfterMs / 1000))) }
  if (err instanceof UpstreamError && err.retryAfterMs !== undefined) {
    return { 'Retry-After': String(Math.ceil(err.retryAfterMs / 1000)) }
  }
  return {}
}

/** A manifest's missing references are one item each, so that a client can tell which blobs to push. */
function itemsOf(err: RegistryError): readonly object[] {
  const { code, detail } = err
  const { message } = errorCodes[code]
  if (err instanceof ReferencesUnknownError) {
    return err.digests.map(digest => ({ code, message, detail: digest }))
  }
  return [{ code, message, ...(detail !== undefined && { detail }) }]
}
