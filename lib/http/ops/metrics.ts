// The Prometheus exposition of this instance.
import type Koa from 'koa'
import type { Metrics } from '../../metrics.ts'

export async function answerMetrics(ctx: Koa.Context, { registry }: Metrics): Promise<void> {
  ctx.set('Content-Type', registry.contentType)
  ctx.body = await registry.metrics()
}
