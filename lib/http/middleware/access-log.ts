// One line per request, written when its response closes. Field names are those of distribution, which log pipelines
// already know.
import { isIP } from 'node:net'
import type { Clock } from '../../clock.ts'
import { redactUrl, type Logger } from '../../log.ts'
import type { Context, Middleware } from '../context.ts'
import { whenClosed, type Outcome } from '../outcome.ts'

export function accessLog({ logger, clock }: { readonly logger: Logger; readonly clock: Clock }): Middleware {
  return (ctx, next) => {
    whenClosed(ctx, clock, outcome => logger.info(describe(ctx, outcome), 'response completed'))
    return next()
  }
}

function describe(ctx: Context, { status, sentBytes, durationMs }: Outcome) {
  const { headers } = ctx.req
  return {
    'http.request.id': ctx.state.id,
    'http.request.method': ctx.method,
    'http.request.host': headers.host ?? '',
    'http.request.uri': redactUrl(ctx.originalUrl),
    'http.request.remoteaddr': remoteAddress(ctx),
    'http.request.useragent': headers['user-agent'] ?? '',
    'http.response.status': status,
    'http.response.written': sentBytes,
    'http.response.duration': `${durationMs}ms`,
  }
}

/** The client that a proxy in front of us names, else our peer. */
function remoteAddress({ req }: Context): string {
  const forwarded = req.headers['x-forwarded-for']
  const [first = ''] = typeof forwarded === 'string' ? forwarded.split(',', 1) : []
  if (isIP(first.trim()) !== 0) return first.trim()
  const { remoteAddress: address = '', remotePort: port = '' } = req.socket
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
