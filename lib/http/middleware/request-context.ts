// Outermost: gives the request its id, finds out what it asks for, and makes the id known to every log line below.
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { requestContext as logContext } from '../../log.ts'
import { ConnectionSignals } from '../connection-signals.ts'
import { RequestState, type Middleware } from '../context.ts'
import type { Router } from '../router.ts'

/** An id that a proxy in front of us made is worth keeping, if it is nothing but an id. */
const saneId = /^[A-Za-z0-9._:+/=-]{1,128}$/

export function requestContext({
  router,
  clock,
}: {
  readonly router: Router
  readonly clock: Clock
}): Middleware {
  const signals = new ConnectionSignals()
  return (ctx, next) => {
    const given = ctx.req.headers['x-request-id']
    const id = typeof given === 'string' && saneId.test(given) ? given : randomUUID()
    const match = router.match(ctx.method, ctx.path)
    ctx.state = new RequestState(ctx.res, {
      id,
      startedAtMs: clock.now(),
      match,
      connection: signals.of(ctx.req.socket),
    })
    return logContext.run({ requestId: id }, next)
  }
}
