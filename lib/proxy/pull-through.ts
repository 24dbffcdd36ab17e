// The registry that mirrors: a Registry over the local one and upstreams. What was pushed here wins; what is missing is
// fetched, stored in the same stores, and served from there the next time. Pushes go to the local registry untouched.
//
// Content that is mirrored lies under the repository's upstream name (routing.ts), so that `nginx` and `library/nginx`
// share one copy; content that was pushed lies under the name it was pushed to.
import type { Clock } from '../clock.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { Logger } from '../log.ts'
import type { ManifestEntry } from '../oci/descriptor.ts'
import type { Tag } from '../oci/reference.ts'
import type { Stores } from '../registry/local.ts'
import type { Registry, Repository } from '../registry/registry.ts'
import type { MirroredTags } from '../storage/mirrored-tags.ts'
import type { Fills } from './fills.ts'
import type { Keeping } from './keeping.ts'
import { createKnownSizes } from './known-sizes.ts'
import { pullThroughBlobs } from './pull-through-blobs.ts'
import { pullThroughManifests } from './pull-through-manifests.ts'
import { pullThroughReferrers } from './pull-through-referrers.ts'
import { pullThroughTags } from './pull-through-tags.ts'
import type { Route, Routing } from './routing.ts'
import { SingleFlight } from '../single-flight.ts'
import { UpstreamLists } from './upstream-lists.ts'

/** A question for mirrored content and where its answer came from. */
export interface LookupEvent {
  readonly kind: 'lookup'
  readonly type: 'blob' | 'manifest'
  readonly outcome: 'hit' | 'miss'
}

export interface PullThroughDeps {
  readonly local: Registry
  readonly stores: Stores
  readonly mirroredTags: MirroredTags
  readonly fills: Fills
  readonly routing: Routing
  readonly keeping: Keeping
  readonly clock: Clock
  readonly logger: Logger
  /** How long a tag, or a list, is served without asking, milliseconds. */
  readonly tagTtlMs: number
  readonly observe: (event: LookupEvent) => void
}

/** What the services of one repository work with. */
export interface PullThroughContext extends PullThroughDeps {
  readonly route: Route
  /** The local repository of the name that was asked for: where pushes are. */
  readonly hosted: Repository
  /** The local repository of the upstream's name: where mirrored content is. Often the same. */
  readonly mirrored: Repository
  readonly knownSizes: ReturnType<typeof createKnownSizes>
  /** One fetch of a manifest at a time, shared by all who wait for it. */
  readonly fetches: SingleFlight
  /** Held while a tag's link and its record are changed together. */
  readonly tagLock: KeyedLock
  /** By repository name. */
  readonly tagLists: UpstreamLists<Tag>
  /** By repository name and subject. */
  readonly referrerLists: UpstreamLists<ManifestEntry>
}

export function createPullThroughRegistry(deps: PullThroughDeps): Registry {
  const lists = { clock: deps.clock, logger: deps.logger, ttlMs: deps.tagTtlMs }
  const shared = {
    knownSizes: createKnownSizes(),
    fetches: new SingleFlight(),
    tagLock: new KeyedLock(),
    tagLists: new UpstreamLists<Tag>(lists),
    referrerLists: new UpstreamLists<ManifestEntry>(lists),
  }
  return {
    repository(name): Repository {
      const hosted = deps.local.repository(name)
      const route = deps.routing(name)
      if (route === undefined) return hosted
      const mirrored = route.stored === name ? hosted : deps.local.repository(route.stored)
      const context: PullThroughContext = { ...deps, ...shared, route, hosted, mirrored }
      const blobs = pullThroughBlobs(context)
      return {
        name,
        blobs,
        manifests: pullThroughManifests(context, blobs),
        tags: pullThroughTags(context),
        referrers: pullThroughReferrers(context),
        uploads: hosted.uploads,
      }
    },
    repositories: (page, options) => deps.local.repositories(page, options),
  }
}
