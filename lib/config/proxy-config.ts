// The `proxy` section as the program sees it: which registries are mirrored, how fresh their tags are kept, and what
// the disk may hold of them.

export interface ProxyConfig {
  /** No upstream is ever asked. */
  readonly offline: boolean
  /** Any public registry is mirrored that a client names. */
  readonly open: boolean
  /** Patterns of repositories that are for pushes alone. */
  readonly reserved: readonly string[]
  /** The default upstream first, if there is one. Names differ. */
  readonly upstreams: readonly UpstreamConfig[]
  /** For registries that `open` lets in. */
  readonly freshness: FreshnessConfig
  readonly cache: CacheConfig
}

export interface UpstreamConfig {
  /** A component of repository names: what its content lies under here, save the default upstream's. */
  readonly name: string
  /** In order of preference; at least one. */
  readonly urls: readonly URL[]
  readonly isDefault: boolean
  /** Only there a name without a slash means `library/<name>`. */
  readonly isDockerHub: boolean
  /** Hosts that it goes by, lower case: values of `ns`, and first components of repository names. */
  readonly hosts: readonly string[]
  /** Host headers, lower case, under which this registry is that upstream. */
  readonly virtualhosts: readonly string[]
  /** Further first components of repository names. */
  readonly prefixes: readonly string[]
  /** The one with the longest matching prefix counts. */
  readonly credentials: readonly CredentialConfig[]
  /** Patterns of repository names at the upstream; without `allow`, what is not denied is allowed. */
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  /** undefined: as the program finds right. */
  readonly limits: {
    readonly requests: number | undefined
    readonly queue: number | undefined
    readonly bytespersecond: number | undefined
    readonly retries: number | undefined
  }
  readonly timeouts: {
    readonly connectMs: number | undefined
    readonly headersMs: number | undefined
    readonly idleMs: number | undefined
  }
  /** Paths of PEM files. */
  readonly tls: {
    readonly ca: string | undefined
    readonly certificate: string | undefined
    readonly key: string | undefined
    readonly skipverify: boolean
  }
  readonly httpproxy: URL | undefined
  /** Hosts that redirects and token services may lead to although their addresses are private. */
  readonly trustedhosts: readonly string[]
  readonly freshness: FreshnessConfig
}

export type CredentialConfig = { readonly prefix: string | undefined } & (
  | { readonly kind: 'static'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'file'
      readonly username: string | undefined
      readonly usernameFile: string | undefined
      readonly passwordFile: string
    }
  /** `lifetimeMs` undefined: asked once; 0: each time. */
  | { readonly kind: 'helper'; readonly command: string; readonly lifetimeMs: number | undefined }
  | {
      readonly kind: 'ecr'
      readonly region: string | undefined
      readonly accessKeyId: string | undefined
      readonly secretAccessKey: string | undefined
      readonly endpoint: string | undefined
    }
  | { readonly kind: 'google'; readonly keyFile: string | undefined }
)

export interface FreshnessConfig {
  /** Of tags without a rule, and of lists; 1m. 0: always asked. */
  readonly tagttlMs: number
  /** The first that matches a tag decides; Infinity: immutable. */
  readonly tags: readonly { readonly match: string; readonly ttlMs: number }[]
  readonly revalidate: 'first' | 'background'
  readonly deleted: 'pass' | 'serve'
  /** How long a 404 is repeated; 30s. */
  readonly negativettlMs: number
  /** How long a client with a copy at hand waits for the upstream; 1s. */
  readonly patienceMs: number
  /** undefined: new digests are served at once. */
  readonly minage:
    { readonly ageMs: number; readonly audit: boolean; readonly except: readonly string[] } | undefined
}

export interface CacheConfig {
  /** Bytes of mirrored content; undefined: without limit. */
  readonly maxsizeBytes: number | undefined
  /** Shares of it: above the first, content is removed until the second is reached. 0.95 and 0.85. */
  readonly highwatermark: number
  readonly lowwatermark: number
  /** Mirrored content that nobody asked for so long is removed; undefined: kept. */
  readonly unusedMs: number | undefined
  /** Patterns `repository[:tag]` of what is never removed. */
  readonly pins: readonly string[]
  readonly warm: readonly WarmConfig[]
}

export interface WarmConfig {
  readonly images: readonly string[]
  /** `os/architecture[/variant]`, or `all`; empty: that of this machine. */
  readonly platforms: readonly string[]
  readonly referrers: boolean
  readonly intervalMs: number
}
