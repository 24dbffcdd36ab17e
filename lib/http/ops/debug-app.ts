// The operators' own application on http.debug.addr: health, metrics and the admin API, for a network that clients do
// not reach. It asks for no credentials.
import Koa from 'koa'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { StorageDriver } from '../../storage/driver/driver.ts'
import type { CacheAdmin } from '../admin/cache-admin.ts'
import { cacheApiPath, createCacheApi } from '../admin/cache-api.ts'
import { failingChecks } from './health.ts'
import { answerMetrics } from './metrics.ts'

export interface DebugAppDeps {
  readonly driver: StorageDriver
  readonly metrics: Metrics
  readonly logger: Logger
  readonly prometheus: { readonly enabled: boolean; readonly path: string }
  /** undefined: this registry is no mirror. */
  readonly cache?: CacheAdmin | undefined
}

export function createDebugApp({ cache, driver, metrics, logger, prometheus }: DebugAppDeps): Koa {
  const app = new Koa()
  const cacheApi = createCacheApi({ cache, logger })
  app.use(async ctx => {
    if (ctx.path.startsWith(cacheApiPath)) return cacheApi(ctx)
    const isRead = ctx.method === 'GET' || ctx.method === 'HEAD'
    if (isRead && ctx.path === '/debug/health') await answerHealth(ctx, driver)
    else if (isRead && prometheus.enabled && ctx.path === prometheus.path) await answerMetrics(ctx, metrics)
  })
  app.on('error', (err: unknown) => logger.error({ err }, 'cannot answer debug request'))
  return app
}

async function answerHealth(ctx: Koa.Context, driver: StorageDriver): Promise<void> {
  const failing = await failingChecks(driver)
  ctx.set('Content-Type', 'application/json')
  ctx.status = Object.keys(failing).length === 0 ? 200 : 503
  ctx.body = JSON.stringify(failing)
}
