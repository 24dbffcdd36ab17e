// The composition root: the only file that names concrete classes. It reads top to bottom: storage, the local registry,
// the mirror around it, the HTTP application on top. Each part gets its own section of the configuration.
import { randomBytes } from 'node:crypto'
import type Koa from 'koa'
import { allowEverything } from './auth/none.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config/config.ts'
import { createApp } from './http/app.ts'
import { createDebugApp } from './http/ops/debug-app.ts'
import type { Logger } from './log.ts'
import { startUploadPurging } from './maintenance/purge-uploads.ts'
import type { Metrics } from './metrics.ts'
import { createMirror } from './mirror.ts'
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
}

export interface Services {
  readonly app: Koa
  readonly debugApp: Koa
  /** Ends all background work: fills get at most `graceMs`, then connections and the store are closed. */
  close(graceMs: number): Promise<void>
}

const redirectMs = 20 * 60 * 1000

export async function createServices(config: Config, deps: ServicesDeps): Promise<Services> {
  const { clock, logger, metrics } = deps
  const secret = config.http.secret ?? randomSecret(logger)
  const driver = await openConfiguredDriver(config, deps)
  const stores = createStores(config, driver, deps)
  const local = createLocalRegistry(stores, {
    allowDelete: config.storage.delete.enabled,
    redirectMs: config.storage.redirect.disable ? undefined : redirectMs,
    manifestRules: createManifestRules(config.validation),
    tagPolicy: createTagPolicy(config.policy.tags.immutable),
  })
  const purging = startUploadPurging(config.storage.maintenance, { ...deps, ...stores })
  stores.mirroredContent.start()
  const mirror =
    config.proxy && (await createMirror(config.proxy, local, stores, { ...deps, env: deps.env ?? {} }))
  const app = createApp({
    registry: mirror?.registry ?? local,
    access: allowEverything,
    address: mirror?.address,
    logger,
    metrics,
    clock,
    settings: {
      host: config.http.host,
      prefix: config.http.prefix,
      relativeUrls: config.http.relativeurls,
      headers: config.http.headers,
      secret,
      readOnly: config.storage.maintenance.readonly.enabled,
      accessLog: !config.log.accesslog.disabled,
      maxTags: config.tags.maxtags,
      maxCatalogEntries: config.catalog.maxentries,
    },
  })
  const debugApp = createDebugApp({
    cache: mirror?.admin,
    driver,
    metrics,
    logger,
    prometheus: config.http.debug.prometheus,
  })
  return {
    app,
    debugApp,
    async close(graceMs) {
      await purging?.stop()
      await mirror?.close(graceMs)
      await stores.mirroredContent.close()
      await driver.close()
    },
  }
}

/** The store that the configuration names. */
export async function openConfiguredDriver(
  { storage }: Config,
  { clock, metrics }: Pick<ServicesDeps, 'clock' | 'metrics'>,
): Promise<StorageDriver> {
  // The loader has checked both against the table of drivers.
  const parameters = storage.driver.parameters as DriverConfigs[DriverName]
  return await openDriver(storage.driver.name as DriverName, parameters, { clock, metrics })
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
  const blobs = createBlobStore({ driver, cache, mirroredContent })
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
    uploads: new Uploads({ driver, blobs, links, clock }),
  }
}
