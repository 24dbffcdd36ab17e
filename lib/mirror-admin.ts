// What operators are shown of a mirror and may do to its cache, put together from its parts: the answers of the admin API
// and of `registry cache` and `registry explain`. Part of the composition root, beside services.ts.
import type { EvictionLimits, Evictor } from './eviction/evictor.ts'
import { createInventory } from './eviction/inventory.ts'
import type { Pins } from './eviction/pins.ts'
import { createPurge } from './eviction/purge.ts'
import type { Recency } from './eviction/recency.ts'
import {
  AdminError,
  type CacheAdmin,
  type CachedImage,
  type Explanation,
  type UpstreamStats,
  type UrlState,
} from './http/admin/cache-admin.ts'
import { imageFilter } from './http/admin/image-filter.ts'
import type { Metrics } from './metrics.ts'
import type { MirroredRegistries } from './mirrored-registries.ts'
import type { CallOptions } from './oci/descriptor.ts'
import type { Digest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import { formatImageReference, referenceOf, type ImageReference } from './oci/image-reference.ts'
import type { RepositoryName } from './oci/repository-name.ts'
import type { Fills } from './proxy/fills.ts'
import type { PullThroughRegistry } from './proxy/pull-through.ts'
import type { MirroredRegistry, Place, RouteTable } from './proxy/route-table.ts'
import type { Warmer } from './proxy/warm.ts'
import type { Stores } from './registry/local.ts'
import type { Registry, Repository } from './registry/registry.ts'
import type { MirroredTags } from './storage/mirrored-tags.ts'
import type { PartialFills } from './storage/partial-fills.ts'

/** What a mirror is made of. */
export interface MirrorParts {
  readonly registry: PullThroughRegistry
  readonly routes: RouteTable
  readonly registries: MirroredRegistries
  readonly fills: Fills
  readonly partials: PartialFills
  readonly evictor: Evictor
  readonly recency: Recency
  readonly pins: Pins
  readonly mirroredTags: MirroredTags
  readonly warmer: Warmer
}

export interface CacheAdminDeps {
  readonly stores: Stores
  /** What it has counted since the start. */
  readonly metrics: Pick<Metrics, 'proxyLookups' | 'proxyServedBytes'>
  readonly limits: EvictionLimits | undefined
  /** Whether no server works on the store: what counts since a start is not known then. Default false. */
  readonly isOffline?: boolean
}

export function createCacheAdmin(parts: MirrorParts, deps: CacheAdminDeps): CacheAdmin {
  const { routes, registries, fills, evictor, recency, pins, mirroredTags, registry, warmer } = parts
  const { stores, metrics, limits, isOffline = false } = deps
  const inventory = createInventory({ stores, recency, pins, limits, evictor })
  const purge = createPurge({
    stores,
    mirroredTags,
    recency,
    pins,
    isFilling: digest => fills.find(digest) !== undefined,
  })

  async function upstreamStats(): Promise<readonly UpstreamStats[]> {
    const { values } = await metrics.proxyLookups.get()
    return registries.list().map(({ name, upstream }) => {
      const count = (...outcomes: readonly string[]) =>
        isOffline
          ? undefined
          : values
              .filter(({ labels }) => labels.upstream === name && outcomes.includes(String(labels.outcome)))
              .reduce((sum, { value }) => sum + value, 0)
      return {
        name,
        hits: count('hit', 'revalidated'),
        misses: count('miss'),
        stale: count('stale'),
        urls: urlsOf(upstream),
      }
    })
  }

  /** What needed no transfer from an upstream. */
  async function servedBytes(): Promise<number> {
    const { values } = await metrics.proxyServedBytes.get()
    return values.filter(({ labels }) => labels.outcome !== 'miss').reduce((sum, { value }) => sum + value, 0)
  }

  async function* list({ pattern }: { readonly pattern?: string | undefined }, options?: CallOptions) {
    const isWanted = imageFilter({ pattern })
    for (const image of await inventory.list(options)) {
      if (isWanted(image)) yield await describe(image, options)
    }
  }

  async function describe(
    image: Awaited<ReturnType<typeof inventory.list>>[number],
    options?: CallOptions,
  ): Promise<CachedImage> {
    const { repository, tag } = image
    const upstream = routes.placeOf(repository)?.registry.name
    const known = tag === undefined ? undefined : await registry.describeTag(repository, tag, options)
    const record = tag === undefined ? undefined : await mirroredTags.get(repository, tag, options)
    return {
      ...image,
      upstream,
      checkedAtMs: record?.checkedAtMs,
      ttlLeftMs: known === undefined ? undefined : finite(known.ttlLeftMs),
    }
  }

  async function explain(image: ImageReference, options?: CallOptions): Promise<Explanation> {
    const name = routes.address(image.repository, { namespace: image.host })
    const place = name && routes.placeOf(name)
    const base = {
      image: formatImageReference(image),
      chosenBy: chosenBy(image, place),
      ...whereabouts(place),
    }
    const { tag, digest } = image
    const isFetched = place !== undefined && place.isAllowed && !place.isReserved
    if (name === undefined || !isFetched) {
      return { ...base, ...nothing, verdict: (await isPushed(name, image, options)) ? 'pushed' : 'refused' }
    }
    if (digest !== undefined) {
      const isHere = await stores.manifests.holds(place.stored, digest, options)
      const verdict = isHere ? 'fresh' : 'missing'
      return {
        ...base,
        ...nothing,
        verdict,
        digest,
        ...(await contentOf(place, isHere ? digest : undefined, options)),
      }
    }
    const known = tag === undefined ? undefined : await registry.describeTag(name, tag, options)
    if (known === undefined) return { ...base, ...nothing, verdict: 'missing' }
    const { lastFailure, newest, stored } = known
    return {
      ...base,
      verdict: known.pushedHere ? 'pushed' : known.verdict,
      digest: known.digest,
      newestDigest: newest === known.digest ? undefined : newest,
      ...(await contentOf(place, stored ? known.digest : undefined, options)),
      ageMs: known.ageMs,
      ttlLeftMs: finite(known.ttlLeftMs),
      stretch: known.stretch,
      history: known.history,
      lastFailure,
      stale: known.verdict === 'expired' ? lastFailure?.message : undefined,
    }
  }

  async function contentOf({ stored: repository }: Place, digest: Digest | undefined, options?: CallOptions) {
    const image = digest && (await inventory.find({ repository, tag: undefined, digest }, options))
    return {
      sizeBytes: image?.sizeBytes,
      lastUsedAtMs: image?.lastUsedAtMs,
      isPinned: image?.isPinned ?? false,
    }
  }

  async function isPushed(
    name: RepositoryName | undefined,
    image: ImageReference,
    options?: CallOptions,
  ): Promise<boolean> {
    if (name === undefined) return false
    try {
      await registry.repository(name).manifests.stat(referenceOf(image), options)
      return true
    } catch (err) {
      if (err instanceof RegistryError) return false
      throw err
    }
  }

  return {
    async stats(options) {
      const { evictedBytes, evictedCount, ...known } = await inventory.stats(options)
      return {
        ...known,
        evictedBytes: isOffline ? undefined : evictedBytes,
        evictedCount: isOffline ? undefined : evictedCount,
        servedBytes: isOffline ? undefined : await servedBytes(),
        fillsRunning: fills.list().length,
        upstreams: await upstreamStats(),
      }
    },
    list,
    du: () => Promise.resolve(inventory.du()),
    pins: options => pins.list(options),
    pin: (pattern, options) => pins.pin(pattern, options),
    unpin: (pattern, options) => pins.unpin(pattern, options),
    async purge(image, { force, allTags, signal } = {}) {
      const name = routes.address(image.repository, { namespace: image.host })
      const stored = name && (routes.placeOf(name)?.stored ?? name)
      if (stored === undefined) throw notMirrored(image)
      return purge(stored, allTags === true ? undefined : referenceOf(image), { force, signal })
    },
    warm: (request, options) => warmer.warm(request, options),
    explain,
    fills: () => Promise.resolve(fills.list()),
  }
}

/** What an explanation says where nothing is known. */
const nothing = {
  digest: undefined,
  newestDigest: undefined,
  sizeBytes: undefined,
  lastUsedAtMs: undefined,
  isPinned: false,
  ageMs: undefined,
  ttlLeftMs: 0,
  stretch: 1,
  history: [],
  lastFailure: undefined,
  stale: undefined,
} as const

/** The repository that an operator means: its registry, if it is named, as a client would name it with `ns`. */
export function repositoryOf(image: ImageReference, { address }: RouteTable, registry: Registry): Repository {
  const name = address(image.repository, { namespace: image.host })
  if (name === undefined) throw notMirrored(image)
  return registry.repository(name)
}

function notMirrored({ host, repository }: ImageReference): AdminError {
  return new AdminError('NOT_FOUND', `Cannot find "${repository}": "${host ?? ''}" is not mirrored here`)
}

function whereabouts(place: Place | undefined) {
  return {
    upstream: place && { name: place.registry.name, urls: urlsOf(place.registry.upstream) },
    upstreamRepository: place?.name,
    storedRepository: place?.stored,
    isAllowed: place?.isAllowed ?? true,
    isReserved: place?.isReserved ?? false,
  }
}

function chosenBy({ host, repository }: ImageReference, place: Place | undefined): Explanation['chosenBy'] {
  if (place === undefined) return 'none'
  if (host !== undefined) return 'host'
  return place.registry.prefixes.some(prefix => repository.startsWith(`${prefix}/`)) ? 'prefix' : 'default'
}

function urlsOf(upstream: MirroredRegistry['upstream']): readonly UrlState[] {
  return upstream.states?.() ?? []
}

/** As it crosses the wire, where there is no infinity. */
function finite(milliseconds: number): number | undefined {
  return Number.isFinite(milliseconds) ? milliseconds : undefined
}
