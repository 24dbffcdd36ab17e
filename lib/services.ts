// The composition root: the only file that names concrete classes. It reads top to bottom: storage, the local registry,
// the mirror around it, the HTTP application on top. Each part gets its own section of the configuration.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type Koa from 'koa'
import { createAccessController } from './auth/schemes.ts'
import { openTokenService } from './auth/token-service/open.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config/config.ts'
import { createApp } from './http/app.ts'
import type { AccessLog } from './http/middleware/access-log.ts'
import { checksOf } from './http/ops/checks.ts'
import { createDebugApp } from './http/ops/debug-app.ts'
import { Health } from './http/ops/health.ts'
import { createReadiness } from './http/ops/ready.ts'
import type { Logger } from './log.ts'
import { createMaintenance } from './maintenance/maintenance.ts'
import { refetchingFrom } from './maintenance/refetch.ts'
import { startUploadPurging } from './maintenance/purge-uploads.ts'
import type { Metrics } from './metrics.ts'
import { createMirror } from './mirror.ts'
import { createEventId } from './notifications/event.ts'
import { startNotifications, type Notifications } from './notifications/notifications.ts'
import { createLocalRegistry, type Stores } from './registry/local.ts'
import { createManifestRules } from './registry/manifest-rules.ts'
import { createTagPolicy } from './registry/tag-policy.ts'
import { createBlobStore } from './storage/blob-store.ts'
import { createDescriptorCache, noDescriptorCache } from './storage/descriptor-cache.ts'
import type { StorageDriver } from './storage/driver/driver.ts'
import type { DriverConfigs, DriverName } from './storage/driver/drivers.ts'
import { openDriver } from './storage/driver/open.ts'
import { createLinks } from './storage/links.ts'
import { createManifestStore } from './storage/manifest-store.ts'
import { MirroredContent } from './storage/mirrored-content.ts'
import { withMiddleware } from './storage/middleware/apply.ts'
import { RecentUses } from './storage/recent-uses.ts'
import { createReferrerIndex } from './storage/referrer-index.ts'
import { createTagStore } from './storage/tag-store.ts'
import { Uploads } from './storage/uploads.ts'

export interface ServicesDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly version: string
  /** For HTTP_PROXY and its like, and for programs that are asked for credentials; default: empty. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Takes the lines of the access log; default: there is none. */
  readonly writeAccessLog?: ((line: string) => void) | undefined
}

export interface Services {
  readonly app: Koa
  readonly debugApp: Koa
  /** Says from now on that no more requests should be sent here; those that come are served. */
  drain(): void
  /** Ends all background work: fills get at most `graceMs`, then connections and the store are closed. */
  close(graceMs: number): Promise<void>
}

const redirectMs = 20 * 60 * 1000

export async function createServices(config: Config, deps: ServicesDeps): Promise<Services> {
  const { clock, logger, metrics } = deps
  const secret = config.http.secret ?? randomSecret(logger)
  const access = await createAccessController(config.auth, config.access, deps)
  const tokens = await openTokenService(config.tokenservice, access, {
    ...deps,
    realm: { host: config.http.host, isTls: config.http.tls !== undefined },
  })
  const driver = await openServingDriver(config, deps)
  const stores = createStores(config, driver, deps)
  const local = createLocalRegistry(stores, {
    allowDelete: config.storage.delete.enabled,
    redirectMs: config.storage.redirect.disable ? undefined : redirectMs,
    manifestRules: createManifestRules(config.validation, config.policy.classes),
    tagPolicy: createTagPolicy(config.policy.tags.immutable),
  })
  const purging = startUploadPurging(config.storage.maintenance, { ...deps, ...stores })
  const notifications = await startConfiguredNotifications(config, deps)
  const mirror =
    config.proxy &&
    (await createMirror(config.proxy, local, stores, {
      ...deps,
      env: deps.env ?? {},
      events: config.notifications.mirror ? notifications.sink : undefined,
    }))
  stores.mirroredContent.start()
  const health = new Health({ clock, logger, metrics })
  health.start(checksOf(config.health, driver))
  const maintenance = createMaintenance(config.storage.maintenance, {
    ...deps,
    stores,
    refetch: mirror && refetchingFrom(mirror.registry),
  })
  const app = createApp({
    registry: mirror?.registry ?? local,
    access: tokens?.controller ?? access.controller,
    tokenService: tokens?.tokenService,
    address: mirror?.address,
    logger,
    metrics,
    clock,
    accessLog: accessLogOf(config, deps),
    events: notifications.sink && {
      sink: notifications.sink,
      includeReferences: config.notifications.includereferences,
    },
    isFailing: () => health.isFailing,
    isReadOnly: () => maintenance.readOnly.isOn,
    settings: {
      host: config.http.host,
      prefix: config.http.prefix,
      relativeUrls: config.http.relativeurls,
      headers: config.http.headers,
      secret,
      readOnly: config.storage.maintenance.readonly.enabled,
      maxTags: config.tags.maxtags,
      maxCatalogEntries: config.catalog.maxentries,
      trustedProxies: config.http.trustedproxies,
      isUnixSocket: config.http.net === 'unix',
    },
  })
  const debugApp = createDebugApp({
    cache: mirror?.admin,
    maintenance,
    health,
    readiness: createReadiness(health, driver),
    metrics,
    logger,
    prometheus: config.http.debug.prometheus,
  })
  return {
    app,
    debugApp,
    drain: () => health.drain(),
    async close(graceMs) {
      const deadlineMs = clock.now() + graceMs
      health.stop()
      await purging?.stop()
      await maintenance.stop()
      await mirror?.close(graceMs)
      await notifications.close(Math.max(0, deadlineMs - clock.now()))
      await stores.mirroredContent.close()
      await access.close()
      await driver.close()
    },
  }
}

/** The store that the configuration names. */
export async function openConfiguredDriver(
  { storage }: Config,
  { clock, metrics, logger, env }: Pick<ServicesDeps, 'clock' | 'metrics' | 'logger' | 'env'>,
): Promise<StorageDriver> {
  // The loader has checked both against the table of drivers.
  const parameters = storage.driver.parameters as DriverConfigs[DriverName]
  return await openDriver(storage.driver.name as DriverName, parameters, {
    ...{ clock, metrics, logger, env },
  })
}

/** The same, as clients are sent to it. */
async function openServingDriver(config: Config, deps: ServicesDeps): Promise<StorageDriver> {
  const { name, parameters } = config.storage.driver
  const isS3 = name === 's3' || name === 's3aws'
  const root = isS3 ? (parameters as { readonly rootdirectory?: string }).rootdirectory : undefined
  const driver = await openConfiguredDriver(config, deps)
  return await withMiddleware(driver, config.middleware.storage, { ...deps, rootDirectory: root ?? '' })
}

/** Events wait beside a filesystem store, where neither its walks nor distribution come by. */
function startConfiguredNotifications(config: Config, deps: ServicesDeps): Promise<Notifications> {
  const { notifications, storage, http } = config
  const { name, parameters } = storage.driver
  const { rootdirectory } = parameters as Partial<DriverConfigs['filesystem']>
  const beside =
    name === 'filesystem' && rootdirectory !== undefined ? `${rootdirectory}/_notifications` : undefined
  const port = http.net === 'tcp' ? (/:(\d+)$/.exec(http.addr)?.[1] ?? '') : ''
  return startNotifications(notifications, {
    ...deps,
    env: deps.env ?? {},
    source: { addr: `${hostname()}:${port}`, instanceId: createEventId(deps.clock.now()) },
    directory: notifications.queue.directory ?? beside,
  })
}

function accessLogOf({ log }: Config, { writeAccessLog }: ServicesDeps): AccessLog | undefined {
  const { disabled, format } = log.accesslog
  return disabled || writeAccessLog === undefined ? undefined : { format, write: writeAccessLog }
}

function randomSecret(logger: Logger): Buffer {
  logger.warn(
    'No HTTP secret provided - generated random secret. This may cause problems with uploads if multiple registries ' +
      'are behind a load-balancer. To provide a shared secret, set the REGISTRY_HTTP_SECRET environment variable.',
  )
  return randomBytes(32)
}

export function createStores(
  config: Config,
  driver: StorageDriver,
  { clock, logger, metrics }: ServicesDeps,
): Stores {
  const { blobdescriptor, blobdescriptorsize } = config.storage.cache
  if (blobdescriptor === 'inmemory') logger.info('using inmemory blob descriptor cache')
  const cache =
    blobdescriptor === 'inmemory'
      ? createDescriptorCache(blobdescriptorsize, hit => {
          metrics.cacheRequests.inc()
          if (hit) metrics.cacheHits.inc()
        })
      : noDescriptorCache
  const mirroredContent = new MirroredContent({ driver, clock, logger })
  const uses = new RecentUses(clock)
  const blobs = createBlobStore({ driver, cache, mirroredContent, uses })
  const links = createLinks({ driver, cache, mirroredContent })
  const referrers = createReferrerIndex({ driver, blobs })
  return {
    driver,
    blobs,
    links,
    manifests: createManifestStore({ blobs, links, referrers }),
    mirroredContent,
    referrers,
    tags: createTagStore({ driver, concurrency: config.storage.tag.concurrencylimit ?? 8 }),
    uploads: new Uploads({ driver, blobs, links, clock, uses }),
    uses,
  }
}
