// The composition root: the only file that names concrete classes. It reads top to bottom: storage, the local registry,
// the mirror around it, the HTTP application on top. Each part gets its own section of the configuration.
import { randomBytes } from 'node:crypto'
import type Koa from 'koa'
import { allowEverything } from './auth/none.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config/config.ts'
import { createApp } from './http/app.ts'
import { createDebugApp } from './http/ops/debug-app.ts'
import { redactUrl, type Logger } from './log.ts'
import { startUploadPurging } from './maintenance/purge-uploads.ts'
import type { Metrics } from './metrics.ts'
import { Fills, type FillEvent } from './proxy/fills.ts'
import { keepEverything } from './proxy/keeping.ts'
import { createPullThroughRegistry, type LookupEvent } from './proxy/pull-through.ts'
import { routeAllTo } from './proxy/routing.ts'
import { createLocalRegistry, type Stores } from './registry/local.ts'
import { createManifestRules } from './registry/manifest-rules.ts'
import type { Registry } from './registry/registry.ts'
import { createTagPolicy } from './registry/tag-policy.ts'
import { removeAbandonedFills } from './storage/abandoned-fills.ts'
import { createBlobStore } from './storage/blob-store.ts'
import { createDescriptorCache, noDescriptorCache } from './storage/descriptor-cache.ts'
import type { StorageDriver } from './storage/driver/driver.ts'
import type { DriverConfigs, DriverName } from './storage/driver/drivers.ts'
import { openDriver } from './storage/driver/open.ts'
import { createLinks } from './storage/links.ts'
import { createManifestStore } from './storage/manifest-store.ts'
import { createMirroredTags } from './storage/mirrored-tags.ts'
import { createReferrerIndex } from './storage/referrer-index.ts'
import { createTagStore } from './storage/tag-store.ts'
import { Uploads } from './storage/uploads.ts'
import { withCircuit } from './upstream/circuit.ts'
import { createUpstream } from './upstream/client.ts'

export interface ServicesDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly version: string
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
  const { driver: driverConfig } = config.storage
  // The loader has checked both against the table of drivers.
  const parameters = driverConfig.parameters as DriverConfigs[DriverName]
  const driver = await openDriver(driverConfig.name as DriverName, parameters, { clock, metrics })
  const stores = createStores(config, driver, deps)
  const local = createLocalRegistry(stores, {
    allowDelete: config.storage.delete.enabled,
    redirectMs: config.storage.redirect.disable ? undefined : redirectMs,
    manifestRules: createManifestRules(config.validation),
    tagPolicy: createTagPolicy(config.policy.tags.immutable),
  })
  const purging = startUploadPurging(config.storage.maintenance, { ...deps, ...stores })
  if (config.proxy !== undefined) await clearAbandonedFills(driver, deps)
  const mirror = config.proxy === undefined ? undefined : createMirror(config.proxy, local, stores, deps)
  const app = createApp({
    registry: mirror?.registry ?? local,
    access: allowEverything,
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
  const debugApp = createDebugApp({ driver, metrics, logger, prometheus: config.http.debug.prometheus })
  return {
    app,
    debugApp,
    async close(graceMs) {
      await purging?.stop()
      await mirror?.close(graceMs)
      await driver.close()
    },
  }
}

function randomSecret(logger: Logger): Buffer {
  logger.warn(
    'No HTTP secret provided - generated random secret. This may cause problems with uploads if multiple registries ' +
      'are behind a load-balancer. To provide a shared secret, set the REGISTRY_HTTP_SECRET environment variable.',
  )
  return randomBytes(32)
}

function createStores(
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
  const blobs = createBlobStore({ driver, cache })
  const links = createLinks({ driver, cache })
  const referrers = createReferrerIndex({ driver, blobs })
  return {
    driver,
    blobs,
    links,
    manifests: createManifestStore({ blobs, links, referrers }),
    referrers,
    tags: createTagStore({ driver, concurrency: config.storage.tag.concurrencylimit ?? 8 }),
    uploads: new Uploads({ driver, blobs, links, clock }),
  }
}

/** Never rejects: what cannot be cleared away is no reason not to serve. */
async function clearAbandonedFills(driver: StorageDriver, { clock, logger }: ServicesDeps): Promise<void> {
  try {
    const removed = await removeAbandonedFills(driver, clock)
    if (removed > 0) logger.info({ fills: removed }, 'removed what was left of unfinished fills')
  } catch (err) {
    logger.warn({ err }, 'cannot remove what is left of unfinished fills')
  }
}

interface Mirror {
  readonly registry: Registry
  close(graceMs: number): Promise<void>
}

function createMirror(
  proxy: NonNullable<Config['proxy']>,
  local: Registry,
  stores: Stores,
  deps: ServicesDeps,
): Mirror {
  const { clock, logger, metrics, version } = deps
  const { remoteurl, username, password } = proxy
  const credentials = username === undefined || password === undefined ? undefined : { username, password }
  for (const type of ['blob', 'manifest'] as const) {
    for (const counter of [metrics.proxyRequests, metrics.proxyHits, metrics.proxyMisses])
      counter.inc({ type }, 0)
  }
  const client = createUpstream({ url: remoteurl, credentials, clock, logger, metrics, version })
  const upstream = withCircuit(client, { clock, logger })
  const fills = new Fills({
    blobs: stores.blobs,
    keeping: keepEverything,
    clock,
    logger,
    observe: event => countFill(metrics, event),
  })
  logger.info(`Registry configured as a proxy cache to ${redactUrl(remoteurl.href)}`)
  const registry = createPullThroughRegistry({
    local,
    stores,
    mirroredTags: createMirroredTags(stores.driver),
    fills,
    routing: routeAllTo(upstream, remoteurl.hostname),
    keeping: keepEverything,
    clock,
    logger,
    tagTtlMs: proxy.cache.tagttlMs,
    observe: event => countLookup(metrics, event),
  })
  return {
    registry,
    async close(graceMs) {
      await fills.drain(graceMs)
      await upstream.close()
    },
  }
}

function countFill(metrics: Metrics, event: FillEvent): void {
  switch (event.kind) {
    case 'fill-started':
      return metrics.fillsInFlight.inc()
    case 'fill-progress':
      return metrics.fillBytes.inc(event.bytes)
    case 'fill-resumed':
      return metrics.fillResumes.inc()
    case 'fill-settled':
      metrics.fillsInFlight.dec()
      return metrics.fills.inc({ outcome: event.outcome })
    default:
      event satisfies never
  }
}

function countLookup(metrics: Metrics, { type, outcome }: LookupEvent): void {
  metrics.proxyRequests.inc({ type })
  if (outcome === 'hit') metrics.proxyHits.inc({ type })
  else metrics.proxyMisses.inc({ type })
}
