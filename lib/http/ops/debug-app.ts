// The operators' own application on http.debug.addr: health, metrics and the admin API, for a network that clients do
// not reach. It asks for no credentials.
import Koa from 'koa'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { CacheAdmin } from '../admin/cache-admin.ts'
import { cacheApiPath, createCacheApi } from '../admin/cache-api.ts'
import { createMaintenanceApi } from '../admin/maintenance-api.ts'
import type { Maintenance } from '../../maintenance/maintenance.ts'
import { createHealthApi, type HealthApiDeps } from './health-api.ts'
import { answerMetrics } from './metrics.ts'
import { answerVars } from './vars.ts'

export interface DebugAppDeps extends HealthApiDeps {
  readonly metrics: Metrics
  readonly logger: Logger
  readonly prometheus: { readonly enabled: boolean; readonly path: string }
  /** undefined: this registry is no mirror. */
  readonly cache?: CacheAdmin | undefined
  readonly maintenance?: Maintenance | undefined
}

export function createDebugApp({
  cache,
  maintenance,
  metrics,
  logger,
  prometheus,
  ...of
}: DebugAppDeps): Koa {
  const app = new Koa()
  const cacheApi = createCacheApi({ cache, logger })
  const maintenanceApi = maintenance && createMaintenanceApi({ maintenance, logger })
  const healthApi = createHealthApi(of)
  app.use(async ctx => {
    if (ctx.path.startsWith(cacheApiPath)) return cacheApi(ctx)
    if ((await maintenanceApi?.(ctx)) === true) return
    if (await healthApi(ctx)) return
    const isRead = ctx.method === 'GET' || ctx.method === 'HEAD'
    if (isRead && ctx.path === '/debug/vars') await answerVars(ctx, metrics)
    else if (isRead && prometheus.enabled && ctx.path === prometheus.path) await answerMetrics(ctx, metrics)
  })
  app.on('error', (err: unknown) => logger.error({ err }, 'cannot answer debug request'))
  return app
}
