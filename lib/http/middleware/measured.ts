// Counts and times requests. The label is the endpoint's name, never anything of the path.
import type { Clock } from '../../clock.ts'
import type { Metrics } from '../../metrics.ts'
import type { Middleware } from '../context.ts'
import { whenClosed } from '../outcome.ts'
import { provenanceHeader } from '../provenance.ts'

export function measured({
  metrics,
  clock,
}: {
  readonly metrics: Metrics
  readonly clock: Clock
}): Middleware {
  return (ctx, next) => {
    const handler = ctx.state.match.name.replaceAll('-', '_')
    const method = knownMethods.get(ctx.method) ?? 'other'
    metrics.httpInFlight.inc({ handler })
    whenClosed(ctx, clock, ({ status, durationMs, receivedBytes, sentBytes }) => {
      metrics.httpInFlight.dec({ handler })
      metrics.httpRequests.inc({ handler, code: status, method })
      metrics.httpDuration.observe({ handler, method }, durationMs / 1000)
      metrics.httpReceivedBytes.inc({ handler }, receivedBytes)
      metrics.httpSentBytes.inc({ handler }, sentBytes)
      metrics.httpRequestSize.observe({ handler }, receivedBytes)
      metrics.httpResponseSize.observe({ handler }, sentBytes)
      const provenance = ctx.res.getHeader(provenanceHeader)
      if (typeof provenance === 'string') {
        metrics.proxyServedBytes.inc({ outcome: provenance.toLowerCase() }, sentBytes)
      }
    })
    return next()
  }
}

/** Lower case as in distribution's metrics; what a client makes up must not become a label. */
const knownMethods: ReadonlyMap<string, string> = new Map(
  ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map(method => [method, method.toLowerCase()]),
)
