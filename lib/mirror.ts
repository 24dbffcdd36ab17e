// What a mirror is made of, put together: upstreams and routes, fills, the disk and its cap, and the registry over all of
// them. Part of the composition root, beside services.ts.
import type { Config } from './config/config.ts'
import type { CacheConfig, WarmConfig } from './config/proxy-config.ts'
import { Evictor, type EvictionEvent, type EvictionLimits } from './eviction/evictor.ts'
import { Pins } from './eviction/pins.ts'
import { Recency } from './eviction/recency.ts'
import { createCacheAdmin, repositoryOf, type MirrorParts } from './mirror-admin.ts'
import type { CacheAdmin } from './http/admin/cache-admin.ts'
import type { Address } from './http/router.ts'
import type { Logger } from './log.ts'
import { startSchedule, type Schedule } from './maintenance/schedule.ts'
import type { Metrics } from './metrics.ts'
import { createMirrorEvents } from './mirror-events.ts'
import type { EventSink } from './notifications/event.ts'
import {
  createMirroredRegistries,
  type MirroredRegistries,
  type MirroredRegistriesDeps,
} from './mirrored-registries.ts'
import { matchesAny } from './name-pattern.ts'
import type { RepositoryName } from './oci/repository-name.ts'
import { Fills, type FillEvent } from './proxy/fills.ts'
import type { CooldownEvent } from './proxy/held-back.ts'
import {
  createPullThroughRegistry,
  type LookupEvent,
  type PullThroughRegistry,
} from './proxy/pull-through.ts'
import { createRouteTable } from './proxy/route-table.ts'
import { createWarmer } from './proxy/warm.ts'
import { parseWarmRequest } from './proxy/warm-request.ts'
import { startWarming, type WarmTask } from './proxy/warm-schedule.ts'
import type { Stores } from './registry/local.ts'
import type { Registry } from './registry/registry.ts'
import { createMirroredTags } from './storage/mirrored-tags.ts'
import { adoptMirroredTags } from './storage/adopt-mirrored-tags.ts'
import { PartialFills } from './storage/partial-fills.ts'

export interface Mirror {
  readonly registry: PullThroughRegistry
  readonly address: Address
  readonly admin: CacheAdmin
  /** Ends all background work, fills within `graceMs`. */
  close(graceMs: number): Promise<void>
}

export interface MirrorDeps extends MirroredRegistriesDeps {
  /** Hears of what a mirror does by itself; default: nobody does. */
  readonly events?: EventSink | undefined
}

const tidyMs = 60 * 60 * 1000

/** The parts of a mirror, put together and not at work: what reads the store alone needs no more. */
export function assembleMirror(
  proxy: NonNullable<Config['proxy']>,
  local: Registry,
  stores: Stores,
  deps: MirrorDeps,
): MirrorParts {
  const { clock, logger, metrics } = deps
  const { driver } = stores
  const events = deps.events && createMirrorEvents(deps.events)
  const registries = createMirroredRegistries(proxy, deps)
  const routes = createRouteTable({
    registries: registries.configured,
    reserved: matchesAny(proxy.reserved),
    open: registries.open,
  })
  const mirroredTags = createMirroredTags(driver)
  const recency = new Recency({ driver, clock, logger })
  const pins = new Pins({ driver, configured: proxy.cache.pins, namesOf: namesOf(registries) })
  const evictor = new Evictor({
    stores,
    mirroredTags,
    recency,
    pins,
    clock,
    logger,
    isFilling: digest => fills.find(digest) !== undefined,
    limits: limitsOf(proxy.cache),
    maxIdleMs: proxy.cache.unusedMs,
    observe(event) {
      countEviction(metrics, event)
      events?.eviction(event)
    },
  })
  const partials = new PartialFills({
    driver,
    blobs: stores.blobs,
    clock,
    // Beside the content that the cap is about.
    maxBytes: proxy.cache.maxsizeBytes && Math.ceil(proxy.cache.maxsizeBytes / 10),
  })
  const fills: Fills = new Fills({
    blobs: stores.blobs,
    keeping: evictor,
    partials,
    clock,
    logger,
    observe(event) {
      countFill(metrics, event)
      events?.fill(event)
    },
  })
  const registry = createPullThroughRegistry({
    local,
    stores,
    mirroredTags,
    fills,
    routing: routes.route,
    keeping: evictor,
    clock,
    logger,
    offline: proxy.offline,
    observe: event => countLookup(metrics, event),
    onStale: events?.stale,
  })
  const warmer = createWarmer({ repositoryOf: image => repositoryOf(image, routes, registry), clock })
  return {
    registry,
    routes,
    registries,
    fills,
    partials,
    evictor,
    recency,
    pins,
    mirroredTags,
    warmer,
  }
}

export async function createMirror(
  proxy: NonNullable<Config['proxy']>,
  local: Registry,
  stores: Stores,
  deps: MirrorDeps,
): Promise<Mirror> {
  const { clock, logger, metrics } = deps
  const parts = assembleMirror(proxy, local, stores, deps)
  const { registry, registries, routes, fills, partials, evictor, warmer } = parts
  const standard = registries.configured.find(one => one.isDefault)
  const adopted = standard && (await adoptMirroredTags(stores.driver, standard.name))
  if (adopted !== undefined) logger.info({ tags: adopted }, 'took over what distribution has mirrored')
  await tidy(partials, fills, logger)
  prepareMetrics(metrics, registries, proxy.cache)
  evictor.start()
  const background: Schedule[] = [
    startSchedule({
      name: 'clean-up of unfinished fills',
      intervalMs: tidyMs,
      clock,
      logger,
      run: () => tidy(partials, fills, logger),
    }),
    ...(proxy.cache.warm.length === 0 || proxy.offline
      ? []
      : [startWarming(proxy.cache.warm.map(warmTask), { warmer, clock, logger })]),
  ]
  return {
    registry,
    address: routes.address,
    admin: createCacheAdmin(parts, { stores, metrics, limits: limitsOf(proxy.cache) }),
    async close(graceMs) {
      await Promise.all(background.map(one => one.stop()))
      await registry.drain(0)
      await fills.drain(graceMs)
      await evictor.close()
      await registries.close()
    },
  }
}

/** Never rejects: what cannot be cleared away is no reason not to serve. */
async function tidy(partials: PartialFills, fills: Fills, logger: Logger): Promise<void> {
  try {
    const { abandoned, removed } = await partials.tidy({
      isRunning: digest => fills.find(digest) !== undefined,
    })
    if (abandoned > 0) logger.info({ fills: abandoned }, 'removed what was left of unfinished fills')
    if (removed > 0) logger.info({ fills: removed }, 'removed what was kept of unfinished fills')
  } catch (err) {
    logger.warn({ err }, 'cannot remove what is left of unfinished fills')
  }
}

export function limitsOf({
  maxsizeBytes,
  highwatermark,
  lowwatermark,
}: CacheConfig): EvictionLimits | undefined {
  if (maxsizeBytes === undefined) return undefined
  return {
    maxBytes: maxsizeBytes,
    highBytes: Math.floor(maxsizeBytes * highwatermark),
    lowBytes: Math.floor(maxsizeBytes * lowwatermark),
  }
}

/** By its host, too, where content lies under its own name alone. */
function namesOf({ configured }: MirroredRegistries): (stored: RepositoryName) => readonly string[] {
  const standard = configured.find(one => one.isDefault)
  const others = configured.filter(one => !one.isDefault)
  return stored => {
    const other = others.find(one => stored.startsWith(`${one.name}/`))
    const rest = other === undefined ? stored : stored.slice(other.name.length + 1)
    return ((other ?? standard)?.hosts ?? []).map(host => `${host}/${rest}`)
  }
}

function warmTask({ intervalMs, ...words }: WarmConfig): WarmTask {
  return { ...parseWarmRequest(words), intervalMs }
}

/** What is zero is shown as zero, and what others keep is read when it is asked for. */
function prepareMetrics(
  metrics: Metrics,
  registries: MirroredRegistries,
  { maxsizeBytes }: CacheConfig,
): void {
  for (const type of ['blob', 'manifest'] as const) {
    for (const counter of [metrics.proxyRequests, metrics.proxyHits, metrics.proxyMisses])
      counter.inc({ type }, 0)
  }
  metrics.cacheMaxBytes.set(maxsizeBytes ?? 0)
  metrics.whenRead(() => {
    metrics.upstreamBudgetLimit.reset()
    metrics.upstreamBudgetRemaining.reset()
    for (const { host, circuit, budget } of registries.list().flatMap(one => one.upstream.states?.() ?? [])) {
      metrics.upstreamUp.set({ upstream: host }, circuit.kind === 'open' ? 0 : 1)
      if (budget === undefined) continue
      metrics.upstreamBudgetLimit.set({ upstream: host }, budget.limit)
      metrics.upstreamBudgetRemaining.set({ upstream: host }, budget.remaining)
    }
  })
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

/** What distribution counts as a hit is all that needed nothing but the store, and maybe a question. */
function countLookup(metrics: Metrics, event: LookupEvent | CooldownEvent): void {
  const { upstream, outcome } = event
  if (event.kind === 'cooldown') return metrics.cooldowns.inc({ upstream, outcome })
  const { type } = event
  metrics.proxyRequests.inc({ type })
  metrics.proxyLookups.inc({ upstream, type, outcome })
  if (outcome === 'miss') metrics.proxyMisses.inc({ type })
  else metrics.proxyHits.inc({ type })
}

function countEviction(metrics: Metrics, event: EvictionEvent): void {
  switch (event.kind) {
    case 'used':
      return metrics.cacheBytes.set(event.bytes)
    case 'evicted':
      metrics.cacheEvictions.inc({ content: event.entry.kind })
      return metrics.cacheEvictedBytes.inc({ content: event.entry.kind }, event.bytes)
    default:
      event satisfies never
  }
}
