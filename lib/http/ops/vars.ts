// A few numbers as JSON, under the names that distribution has for them: for scripts that read its /debug/vars.
import type Koa from 'koa'
import type { Metrics } from '../../metrics.ts'

export async function answerVars(ctx: Koa.Context, metrics: Metrics): Promise<void> {
  const [requests, hits, misses] = await Promise.all([
    byType(metrics.proxyRequests),
    byType(metrics.proxyHits),
    byType(metrics.proxyMisses),
  ])
  const ofType = (type: string) => ({
    Requests: requests.get(type) ?? 0,
    Hits: hits.get(type) ?? 0,
    Misses: misses.get(type) ?? 0,
  })
  const { rss, heapTotal, heapUsed } = process.memoryUsage()
  ctx.set('Content-Type', 'application/json; charset=utf-8')
  ctx.body = JSON.stringify({
    memstats: { Sys: rss, HeapSys: heapTotal, HeapAlloc: heapUsed },
    uptime: Math.floor(process.uptime()),
    registry: { proxy: { blobs: ofType('blob'), manifests: ofType('manifest') } },
  })
}

async function byType(counter: Metrics['proxyRequests']): Promise<ReadonlyMap<string, number>> {
  const { values } = await counter.get()
  return new Map(values.map(({ labels, value }) => [String(labels.type), value]))
}
