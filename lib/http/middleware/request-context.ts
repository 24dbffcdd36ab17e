// Outermost: gives the request its id, finds out what it asks for, and makes the id known to every log line below.
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { requestContext as logContext } from '../../log.ts'
import type { ProxyTrust } from '../client-address.ts'
import { ConnectionSignals } from '../connection-signals.ts'
import { queryValue, RequestState, type Context, type Middleware } from '../context.ts'
import type { Router } from '../router.ts'

/** An id that a proxy in front of us made is worth keeping, if it is nothing but an id. */
const saneId = /^[A-Za-z0-9._:+/=-]{1,128}$/

export function requestContext({
  router,
  trust,
  clock,
}: {
  readonly router: Router
  readonly trust: ProxyTrust
  readonly clock: Clock
}): Middleware {
  const signals = new ConnectionSignals()
  return (ctx, next) => {
    ctx.req.url = originForm(ctx.req.url ?? '/')
    const given = ctx.req.headers['x-request-id']
    const id = typeof given === 'string' && saneId.test(given) ? given : randomUUID()
    const { host } = ctx.req.headers
    const match = router.match(ctx.method, ctx.path, { namespace: namespaceOf(ctx), host })
    ctx.state = new RequestState(ctx.res, {
      id,
      startedAtMs: clock.now(),
      match,
      clientAddress: trust.clientOf(ctx.req),
      connection: signals.of(ctx.req.socket),
    })
    return logContext.run({ requestId: id }, next)
  }
}

/** Parameters are not looked at where there cannot be one: most requests have none. */
function namespaceOf(ctx: Context): string | undefined {
  return ctx.querystring.includes('ns=') ? queryValue(ctx, 'ns') : undefined
}

/**
 * A request target without scheme and host, which proxies are sent and nobody else needs. Koa's own parser would throw
 * at a host that is none, before there is anybody to answer with an error. Source: RFC 9112, 3.2.
 */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const rest = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  return rest.startsWith('/') ? rest : `/${rest}`
}
