// The registry that mirrors: a Registry over the local one and upstreams. What was pushed here wins; what is missing is
// fetched, stored in the same stores, and served from there the next time. Pushes go to the local registry untouched.
//
// Content that is mirrored lies under the repository's upstream name (routing.ts), so that `nginx` and `library/nginx`
// share one copy; content that was pushed lies under the name it was pushed to.
import type { Clock } from '../clock.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions, ManifestEntry } from '../oci/descriptor.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import type { Registry, Repository, ServedManifest } from '../registry/registry.ts'
import type { MirroredTags } from '../storage/mirrored-tags.ts'
import type { TagDescription } from './describe-tag.ts'
import type { Fills } from './fills.ts'
import { HeldBack, type CooldownEvent } from './held-back.ts'
import type { Keeping } from './keeping.ts'
import { createKnownSizes } from './known-sizes.ts'
import { offline } from './offline.ts'
import { pullThroughBlobs } from './pull-through-blobs.ts'
import { pullThroughManifests, type PullThroughManifests } from './pull-through-manifests.ts'
import { pullThroughReferrers } from './pull-through-referrers.ts'
import { pullThroughTags } from './pull-through-tags.ts'
import { PushedOnlyRepository, shownUploads, type Withheld } from './pushed-only.ts'
import { Questions } from './questions.ts'
import type { Route, Routing } from './routing.ts'
import { createStaleLog, type StaleLog, type StaleLogDeps } from './stale-log.ts'
import { UpstreamLists } from './upstream-lists.ts'

/** A question for mirrored content and where its answer came from. */
export interface LookupEvent extends Lookup {
  /** Name of the one that is asked for what is not here. */
  readonly upstream: string
}

interface Lookup {
  readonly kind: 'lookup'
  readonly type: 'blob' | 'manifest'
  readonly outcome: 'hit' | 'miss' | 'stale' | 'revalidated'
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
  /** No upstream is ever asked: what is here is all there is, and nothing of it is too old. Default false. */
  readonly offline?: boolean | undefined
  readonly observe: (event: LookupEvent | CooldownEvent) => void
  /** Hears of tags that are served although they may be out of date, once a minute each. */
  readonly onStale?: StaleLogDeps['onStale']
}

/** What the services of one repository work with. */
export interface PullThroughContext extends Omit<PullThroughDeps, 'observe'> {
  readonly route: Route
  /** The local repository of the name that was asked for: where pushes are. */
  readonly hosted: Repository
  /** The local repository of the upstream's name: where mirrored content is. Often the same. */
  readonly mirrored: Repository
  readonly observe: (event: Lookup) => void
  readonly knownSizes: ReturnType<typeof createKnownSizes>
  /** To all upstreams, each asked once for all who wait. */
  readonly questions: Questions
  /** Held while a tag's link and its record are changed together. */
  readonly tagLock: KeyedLock
  readonly tagLists: UpstreamLists<Tag>
  readonly referrerLists: UpstreamLists<ManifestEntry>
  readonly logStale: StaleLog
  readonly heldBack: HeldBack
}

export interface PullThroughRegistry extends Registry {
  /** What is known of a tag, without asking its upstream; undefined where the repository has none. */
  describeTag(name: RepositoryName, tag: Tag, options?: CallOptions): Promise<TagDescription | undefined>
  /**
   * Asks the upstream for a tag, however fresh that is, unless it was pushed here. ManifestUnknownError, UpstreamError;
   * undefined where the repository has no upstream.
   */
  refresh(name: RepositoryName, tag: Tag, options?: CallOptions): Promise<ServedManifest | undefined>
  /** Ends asking in the background: what is under way gets at most `graceMs`. To be called before upstreams are closed. */
  drain(graceMs: number): Promise<void>
}

export function createPullThroughRegistry(deps: PullThroughDeps): PullThroughRegistry {
  const questions = new Questions(deps)
  const logStale = createStaleLog(deps)
  const lists = { clock: deps.clock, questions, logStale, offline: deps.offline }
  const shared = {
    knownSizes: createKnownSizes(),
    questions,
    tagLock: new KeyedLock(),
    tagLists: new UpstreamLists<Tag>(lists),
    referrerLists: new UpstreamLists<ManifestEntry>(lists),
    logStale,
    heldBack: new HeldBack(deps),
  }

  const withheld: Withheld = {
    isShown: name => deps.routing(name) !== undefined,
    isMirrored: async (digest, options) =>
      (await deps.stores.mirroredContent.find(digest, options)) !== undefined,
    mirroredTags: deps.mirroredTags,
  }

  function contextOf(name: RepositoryName, hosted: Repository): PullThroughContext | undefined {
    const found = deps.routing(name)
    if (found === undefined) return undefined
    const route = deps.offline === true ? { ...found, upstream: offline(found.upstream) } : found
    const mirrored = route.stored === name ? hosted : deps.local.repository(route.stored)
    const observe = (event: Lookup) => deps.observe({ ...event, upstream: route.upstream.name })
    return { ...deps, ...shared, route, hosted, mirrored, observe }
  }

  /** Undefined where the repository has no upstream. */
  function manifestsOf(name: RepositoryName): PullThroughManifests | undefined {
    const context = contextOf(name, deps.local.repository(name))
    return context && pullThroughManifests(context, pullThroughBlobs(context))
  }

  return {
    repository(name): Repository {
      const hosted = deps.local.repository(name)
      const context = contextOf(name, hosted)
      return context === undefined
        ? new PushedOnlyRepository(hosted, withheld)
        : new PullThroughRepository(context, withheld)
    },
    repositories: (page, options) => deps.local.repositories(page, options),
    describeTag: async (name, tag, options) => manifestsOf(name)?.describe(tag, options),
    refresh: async (name, tag, options) => manifestsOf(name)?.refresh(tag, options),
    drain: graceMs => questions.drain(graceMs),
  }
}

/** Its services are made when they are asked for: a request needs one or two of them. */
class PullThroughRepository implements Repository {
  readonly isMirror = true
  readonly #context: PullThroughContext
  readonly #withheld: Withheld

  constructor(context: PullThroughContext, withheld: Withheld) {
    this.#context = context
    this.#withheld = withheld
  }

  get name() {
    return this.#context.hosted.name
  }

  get blobs() {
    return pullThroughBlobs(this.#context)
  }

  get manifests() {
    return pullThroughManifests(this.#context, this.blobs)
  }

  get tags() {
    return pullThroughTags(this.#context)
  }

  get referrers() {
    return pullThroughReferrers(this.#context)
  }

  get uploads() {
    return shownUploads(this.#context.hosted, this.#withheld)
  }
}
