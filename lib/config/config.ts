// The configuration as the program sees it: complete, checked, every default applied, frozen to the bottom. Only
// load.ts makes one, and only services.ts and cli/ read it: each part is handed its own section. Names are those of
// distribution's configuration file, save that a duration ends in `Ms` and counts milliseconds.
import type { AccessRuleConfig, AuthConfig, TokenServiceConfig } from './auth.ts'
import type { HealthConfig } from './health.ts'
import type { StorageMiddlewareConfig } from './middleware.ts'
import type { NotificationsConfig } from './notifications.ts'
import type { ProxyConfig } from './proxy-config.ts'

export interface Config {
  readonly version: '0.1'
  readonly log: LogConfig
  readonly storage: StorageConfig
  readonly http: HttpConfig
  /** undefined: nobody is asked who they are. */
  readonly auth: AuthConfig | undefined
  /** What is let through, everything else being refused; undefined: everything that `auth` lets through. */
  readonly access: readonly AccessRuleConfig[] | undefined
  readonly tokenservice: TokenServiceConfig | undefined
  readonly middleware: { readonly storage: readonly StorageMiddlewareConfig[] }
  readonly notifications: NotificationsConfig
  readonly health: HealthConfig
  /** The registries that this one mirrors; undefined: none. */
  readonly proxy: ProxyConfig | undefined
  readonly validation: ValidationConfig
  readonly policy: PolicyConfig
  /** `maxentries`: the most repositories in one page of the catalog, 1000. */
  readonly catalog: { readonly maxentries: number }
  /** `maxtags`: the most tags in one page of a tag list, 1000. */
  readonly tags: { readonly maxtags: number }
}

export interface LogConfig {
  /** Lines below it are not written; info. */
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  /** The form of a line; text. */
  readonly formatter: 'text' | 'json' | 'logstash'
  /** Static fields of every line of the application log. */
  readonly fields: Readonly<Record<string, string>>
  /** One line a request; on unless disabled. */
  readonly accesslog: {
    readonly disabled: boolean
    /** Apache's Combined Log Format, or an object a line; on stdout. */
    readonly format: 'combined' | 'json'
  }
  /** Whether each line tells the source line that wrote it. */
  readonly reportcaller: boolean
  readonly hooks: readonly MailHookConfig[]
}

/** Lines that are mailed as well. */
export interface MailHookConfig {
  readonly levels: readonly ('panic' | 'fatal' | 'error' | 'warn' | 'info' | 'debug')[]
  readonly smtp: {
    /** `host:port`. */
    readonly addr: string
    readonly username: string
    readonly password: string
    /** Whether certificates are not checked. */
    readonly insecure: boolean
  }
  readonly from: string
  readonly to: readonly string[]
}

export interface StorageConfig {
  /** `parameters` is the output of the section of the driver called `name`. */
  readonly driver: { readonly name: string; readonly parameters: unknown }
  /** Whether DELETE of blobs, manifests and tags is allowed; not by default. */
  readonly delete: { readonly enabled: boolean }
  /** Whether clients are never sent to the store itself, where the driver could do that. */
  readonly redirect: { readonly disable: boolean }
  readonly cache: {
    /** Where descriptors of blobs are remembered; undefined: nowhere. */
    readonly blobdescriptor: 'inmemory' | undefined
    /** How many of them, 10000; 0: without limit. */
    readonly blobdescriptorsize: number
  }
  readonly maintenance: {
    /** Whether everything that writes is refused. */
    readonly readonly: { readonly enabled: boolean }
    /** Removal of upload sessions that nobody finished. */
    readonly uploadpurging: UploadPurgingConfig
    /** Removal of what nothing refers to, while the server runs; off. */
    readonly garbagecollect: {
      readonly enabled: boolean
      /** 24h. */
      readonly intervalMs: number
      /** Whether manifests without a tag go, too. */
      readonly untagged: boolean
      /** What is younger stays; 1h. */
      readonly graceMs: number
    }
    /** Reading again of what is stored; off. */
    readonly scrub: {
      readonly enabled: boolean
      /** 168h. */
      readonly intervalMs: number
      /** Bytes per second, 20 MB. */
      readonly rateBytes: number
    }
  }
  /** How many tags are looked up at a time; undefined: the default of the tag store. */
  readonly tag: { readonly concurrencylimit: number | undefined }
}

export interface UploadPurgingConfig {
  readonly enabled: boolean
  /** Sessions begun longer ago than this are removed; 168h. */
  readonly ageMs: number
  /** Time between two runs, more than zero; 24h. */
  readonly intervalMs: number
  /** Whether it only logs what it would remove. */
  readonly dryrun: boolean
}

export interface HttpConfig {
  /** `host:port`, or the path of a socket where `net` is unix. '' is port 0 on every interface: any free port. */
  readonly addr: string
  readonly net: 'tcp' | 'unix'
  /** The origin that clients see, for Location headers; undefined: taken from each request. */
  readonly host: URL | undefined
  /** '' or a path that begins and ends with a slash, below which everything is served. */
  readonly prefix: string
  /** Signs the state of upload sessions; replicas share it. undefined: a random one for this process. */
  readonly secret: string | undefined
  /** Whether Location headers leave out scheme and host. */
  readonly relativeurls: boolean
  /** How long requests may go on after a stop signal; 0: as long as the program finds right, 10 s. */
  readonly draintimeoutMs: number
  /** Headers of every answer. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** undefined: plain HTTP. */
  readonly tls: TlsConfig | undefined
  readonly debug: {
    /** Where health and metrics are served, without authentication; undefined: nowhere. */
    readonly addr: string | undefined
    readonly prometheus: { readonly enabled: boolean; readonly path: string }
  }
  readonly http2: { readonly disabled: boolean }
  /** HTTP/2 without TLS, for clients that know. */
  readonly h2c: { readonly enabled: boolean }
  /**
   * Networks (CIDR, or an address) whose word on who a client is and what it asked for is taken: Forwarded and
   * X-Forwarded-*. undefined: on what was asked for everybody's, on who a client is nobody's.
   */
  readonly trustedproxies: readonly string[] | undefined
}

export type TlsConfig = (
  | {
      readonly letsencrypt: undefined
      /** Path of a PEM file: the certificate and its chain. */
      readonly certificate: string
      /** Path of a PEM file: the private key. */
      readonly key: string
    }
  | { readonly letsencrypt: AcmeConfig }
) & {
  /** tls1.2. */
  readonly minimumtls: 'tls1.2' | 'tls1.3'
  /** Go's names; empty: the usual ones. */
  readonly ciphersuites: readonly string[]
  /** Paths of PEM files: who signs the certificates of clients. */
  readonly clientcas: readonly string[]
  /** undefined: clients are not asked for certificates, as there are no `clientcas`. */
  readonly clientauth:
    | 'request-client-cert'
    | 'require-any-client-cert'
    | 'verify-client-cert-if-given'
    | 'require-and-verify-client-cert'
    | undefined
}

/** Certificates on demand (RFC 8555). */
export interface AcmeConfig {
  /** Where account key and certificates are kept. */
  readonly directory: string
  readonly email: string
  /** The only names that certificates are asked for. */
  readonly hosts: readonly string[]
  /** undefined: Let's Encrypt. */
  readonly directoryurl: URL | undefined
}

export interface ValidationConfig {
  /** Whether the URLs of manifests and the children of indexes go unchecked. */
  readonly disabled: boolean
  readonly manifests: {
    /** Expressions, compiled with the `u` flag, for the `urls` of layers. Without `allow`, what is not denied is allowed. */
    readonly urls: { readonly allow: readonly string[]; readonly deny: readonly string[] }
    readonly indexes: {
      /** Which children of an index must be there before it; all. */
      readonly platforms: 'all' | 'none' | 'list'
      /** Those whose children must be there, for `list`; an empty list means all. */
      readonly platformlist: readonly { readonly architecture: string; readonly os: string }[]
    }
  }
}

export interface PolicyConfig {
  /** Kinds of content (image, plugin) that may be pushed; empty: all. */
  readonly classes: readonly string[]
  readonly tags: {
    /** Tags that cannot be moved or deleted once they are pushed, by patterns; `repository` undefined: everywhere. */
    readonly immutable: readonly {
      readonly repository: string | undefined
      readonly tags: readonly string[]
    }[]
  }
}
