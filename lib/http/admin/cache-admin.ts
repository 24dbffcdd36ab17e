// What operators can ask of a mirror and do to its cache. The admin API offers it over HTTP, and the commands `registry
// cache` and `registry explain` speak to it: to a running server through a client that is a CacheAdmin itself, or to
// one that is made from the store alone, offline.
//
// Everything here crosses the wire as JSON as it is, members that are undefined left out. Sizes are bytes, times
// milliseconds, instants (…AtMs) since the epoch. Repositories go by the name that their content is stored under,
// unless it says otherwise.
import type { CallOptions } from '../../oci/descriptor.ts'
import type { ImageReference } from '../../oci/image-reference.ts'
import type { WarmRequest } from '../../proxy/warm.ts'
import type { WarmProgress } from '../../proxy/warm-progress.ts'

export interface CacheAdmin {
  stats(options?: CallOptions): Promise<CacheStats>
  /** Every tag and untagged root that is cached, and matches (image-filter.ts); in byte order of repository and tag. */
  list(filter: ImageFilter, options?: CallOptions): AsyncIterable<CachedImage>
  du(options?: CallOptions): Promise<DiskUse>
  pins(options?: CallOptions): Promise<readonly CachePin[]>
  /** Durable; nothing changes where there is such a pin. SyntaxError or RegistryError for a pattern that is none. */
  pin(pattern: string, options?: CallOptions): Promise<void>
  /** Whether there was such a pin among those of operators. */
  unpin(pattern: string, options?: CallOptions): Promise<boolean>
  purge(image: ImageReference, options?: CallOptions & PurgeChoice): Promise<PurgeReport>
  /** Does its work while it is iterated, see Warmer in proxy/warm.ts. */
  warm(request: WarmRequest, options?: CallOptions): AsyncIterable<WarmProgress>
  /** Asks no upstream and changes nothing. */
  explain(image: ImageReference, options?: CallOptions): Promise<Explanation>
  fills(options?: CallOptions): Promise<readonly FillInfo[]>
}

export interface CacheStats {
  /** Of mirrored content, that is blobs and manifests. */
  readonly usedBytes: number
  readonly entries: number
  /** Whether all of it is known: after a start that takes a while. */
  readonly isComplete: boolean
  /** Above the second, content is evicted until the third is reached. undefined: without limit. */
  readonly limits:
    { readonly maxBytes: number; readonly highBytes: number; readonly lowBytes: number } | undefined
  readonly pinnedBytes: number
  /** Promised to content that is still on its way. */
  readonly reservedBytes: number
  /** Since the start, as all that is counted below. undefined: no server runs. */
  readonly evictedBytes: number | undefined
  readonly evictedCount: number | undefined
  /** What clients were sent of content that was here when they asked. */
  readonly servedBytes: number | undefined
  readonly fillsRunning: number
  readonly upstreams: readonly UpstreamStats[]
}

export interface UpstreamStats {
  readonly name: string
  /** Questions for manifests and blobs, by where the answer came from; undefined: no server runs. */
  readonly hits: number | undefined
  readonly misses: number | undefined
  readonly stale: number | undefined
  /** In order of preference. */
  readonly urls: readonly UrlState[]
}

/** How one URL of an upstream is doing. */
export interface UrlState {
  /** Host, never with credentials. */
  readonly host: string
  readonly circuit: {
    readonly kind: 'closed' | 'open' | 'half-open'
    /** When it is tried again. */
    readonly untilMs?: number | undefined
    readonly lastFailure?: string | undefined
    readonly lastAnsweredAtMs?: number | undefined
  }
  /** What it last told of its rate limit. */
  readonly budget?:
    | {
        readonly limit: number
        readonly remaining: number
        readonly windowMs: number
        readonly observedAtMs: number
      }
    | undefined
}

export interface ImageFilter {
  /** See image-filter.ts; undefined: all. */
  readonly pattern?: string | undefined
}

export interface CachedImage {
  readonly repository: string
  /** undefined: no tag leads to it any more, or ever did. */
  readonly tag: string | undefined
  readonly digest: string
  /** Of all that is here of it; what images share counts for each. */
  readonly sizeBytes: number
  readonly lastUsedAtMs: number
  readonly isPinned: boolean
  readonly upstream: string | undefined
  /** When the upstream last said what the tag means; undefined: not known, or there is no tag. */
  readonly checkedAtMs: number | undefined
  /** For how long it is served without asking; 0: it is not. undefined: it never expires. */
  readonly ttlLeftMs: number | undefined
}

export interface DiskUse {
  /** What repositories share counts once. */
  readonly totalBytes: number
  /** In byte order of names. `exclusiveBytes` are of what no other repository has; undefined: not counted. */
  readonly repositories: readonly {
    readonly name: string
    readonly bytes: number
    readonly exclusiveBytes?: number | undefined
  }[]
}

export interface CachePin {
  readonly pattern: string
  /** A pin of the configuration can only be taken away there. */
  readonly source: 'configuration' | 'operator'
}

export interface PurgeChoice {
  /** Whether what is pinned goes, too. */
  readonly force?: boolean | undefined
  /** All that the repository has, whatever tag or digest the image names. */
  readonly allTags?: boolean | undefined
}

export interface PurgeReport {
  readonly removedBytes: number
  /** Manifests and blobs. */
  readonly removedCount: number
  /** What was meant, and stays: pinned, needed by another image, or in use at the moment. */
  readonly kept: readonly { readonly digest: string; readonly reason: 'pinned' | 'needed' | 'used' }[]
}

export interface FillInfo {
  readonly digest: string
  readonly repository: string
  readonly upstream: string
  readonly startedAtMs: number
  readonly bytesStored: number
  readonly size: number | undefined
  readonly readers: number
  readonly resumes: number
  readonly bytesPerSecond: number
}

/** What a request for an image would meet, and why. */
export interface Explanation {
  /** The reference in full. */
  readonly image: string
  /**
   * What led to the upstream: `namespace` is the parameter `ns`, `virtual-host` the Host header, `host` and `prefix` the
   * first component of the name; `none`: nothing does.
   */
  readonly chosenBy: 'namespace' | 'virtual-host' | 'host' | 'prefix' | 'default' | 'none'
  readonly upstream: { readonly name: string; readonly urls: readonly UrlState[] } | undefined
  /** The repository's name there. */
  readonly upstreamRepository: string | undefined
  readonly storedRepository: string | undefined
  /** By the upstream's `allow` and `deny`. */
  readonly isAllowed: boolean
  /** For pushes alone: no upstream is asked. */
  readonly isReserved: boolean
  /**
   * - `pushed`: it was pushed here, and no upstream moves it
   * - `fresh`: it is served without asking
   * - `expired`: the upstream is asked; what is here covers its trouble
   * - `missing`: the upstream is asked, and nothing is here to cover its trouble
   * - `unknown`: the upstream has said lately that there is no such image
   * - `refused`: nobody is asked, because it is reserved, not allowed, or of a registry that is not mirrored
   */
  readonly verdict: 'pushed' | 'fresh' | 'expired' | 'missing' | 'unknown' | 'refused'
  /** What would be served; undefined: nothing is known. */
  readonly digest: string | undefined
  /** What the upstream says, where a cooldown holds that back. */
  readonly newestDigest: string | undefined
  /** Of all that is here of it; undefined: its manifest is not. */
  readonly sizeBytes: number | undefined
  readonly lastUsedAtMs: number | undefined
  readonly isPinned: boolean
  /** Since the upstream last confirmed it. */
  readonly ageMs: number | undefined
  /** As CachedImage has it. */
  readonly ttlLeftMs: number | undefined
  /** By how much times are longer than configured because the upstream's rate limit runs out; 1: by nothing. */
  readonly stretch: number
  /** What the upstream gave for the tag in the course of time, newest first. */
  readonly history: readonly {
    readonly digest: string
    readonly firstSeenMs: number
    readonly lastSeenMs: number
  }[]
  /** How the upstream failed when it was asked for this last; undefined: it answered, or was not asked. */
  readonly lastFailure:
    { readonly failure: string; readonly message: string; readonly atMs: number } | undefined
  /** Why what would be served may be out of date. */
  readonly stale: string | undefined
}

/** Codes of the admin API's errors beside the protocol's own, and their statuses. */
export const adminErrorCodes = {
  REQUEST_INVALID: 400,
  FOREIGN_ORIGIN: 403,
  NOT_FOUND: 404,
  NOT_A_MIRROR: 404,
  PIN_UNKNOWN: 404,
  METHOD_NOT_ALLOWED: 405,
  PIN_CONFIGURED: 409,
  BUSY: 409,
  REQUEST_TOO_LARGE: 413,
  MEDIA_TYPE_UNSUPPORTED: 415,
  TOO_MANY_WARM_UPS: 429,
  /** Not without a server, for example. */
  NOT_SUPPORTED: 501,
} as const

export type AdminErrorCode = keyof typeof adminErrorCodes

/** Something that an operator asked for cannot be done. The message is for the operator. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly code: AdminErrorCode

  constructor(code: AdminErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options)
    this.code = code
  }
}
