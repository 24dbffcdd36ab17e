// Tells whoever traces of each request. Innermost of what every request goes through first, so that it costs nothing
// but a look at a flag where nobody does.
import { redactUrl } from '../../log.ts'
import { requestClosed, requests, type RequestFacts } from '../../tracing/channels.ts'
import type { Middleware } from '../context.ts'

export const traceRequests: Middleware = (ctx, next) => {
  if (!requests.hasSubscribers) return next()
  const { tracestate, traceparent } = ctx.req.headers
  const facts: RequestFacts = {
    method: ctx.method,
    handler: ctx.state.match.name,
    target: redactUrl(ctx.originalUrl),
    traceparent: single(traceparent),
    tracestate: single(tracestate),
  }
  ctx.state.whenClosed(() => {
    facts.status = ctx.res.statusCode
    requestClosed.publish(facts)
  })
  return requests.tracePromise(next, facts)
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.join(',')
}
