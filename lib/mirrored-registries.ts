// The upstreams of a mirror, made from its configuration: for each URL a client with its circuit and budget, and one
// upstream before the URLs of a registry. Part of the composition root, beside services.ts.
import { readFileSync } from 'node:fs'
import type { Clock } from './clock.ts'
import type { CredentialConfig, FreshnessConfig, ProxyConfig, UpstreamConfig } from './config/proxy-config.ts'
import { redactUrl, type Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { matchesAny } from './name-pattern.ts'
import { dockerHubHosts, dockerHubUrl } from './oci/docker-hub.ts'
import type { FreshnessPolicy } from './proxy/freshness.ts'
import { componentOf, type MirroredRegistry } from './proxy/route-table.ts'
import { createBudgetLog } from './upstream/budget-log.ts'
import { withCircuit } from './upstream/circuit.ts'
import { createUpstream } from './upstream/client.ts'
import { createCredentialSource, type CredentialOptions } from './upstream/credentials/create.ts'
import { withFailover } from './upstream/failover.ts'
import { proxiesFrom, type Proxies } from './upstream/proxies.ts'
import { RateBudget } from './upstream/rate-budget.ts'
import type { UpstreamOptions } from './upstream/upstream-options.ts'
import type { Upstream } from './upstream/upstream.ts'

export interface MirroredRegistriesDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly version: string
  /** For HTTPS_PROXY and for credential helpers. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface MirroredRegistries {
  readonly configured: readonly MirroredRegistry[]
  /** The registry of a public host that a client has named; undefined where only configured ones are mirrored. */
  readonly open: ((host: string) => MirroredRegistry | undefined) | undefined
  /** All that there are now. */
  list(): readonly MirroredRegistry[]
  close(): Promise<void>
}

/** What is the same for all of them. */
interface RegistryDeps extends MirroredRegistriesDeps {
  readonly proxies: Proxies | undefined
}

/** Registries that clients have named; beyond that a new one is turned away. */
const maxOpened = 256

/** Throws TypeError for certificates, proxies and credentials that cannot be used, and the error of a file it cannot read. */
export function createMirroredRegistries(
  proxy: ProxyConfig,
  deps: MirroredRegistriesDeps,
): MirroredRegistries {
  const common = { ...deps, proxies: proxiesFrom(deps.env) }
  const configured = proxy.upstreams.map(config => createRegistry(config, common))
  const opened = new Map<string, MirroredRegistry>()

  function open(host: string): MirroredRegistry | undefined {
    const known = opened.get(host)
    if (known !== undefined) return known
    if (opened.size >= maxOpened) {
      deps.logger.warn({ host, registries: opened.size }, 'too many registries have been named by clients')
      return undefined
    }
    const made = createOpened(host, proxy.freshness, common)
    opened.set(host, made)
    return made
  }

  const list = () => [...configured, ...opened.values()]
  return {
    configured,
    open: proxy.open ? open : undefined,
    list,
    async close() {
      await Promise.all(list().map(({ upstream }) => upstream.close()))
    },
  }
}

function createRegistry(config: UpstreamConfig, deps: RegistryDeps): MirroredRegistry {
  const { name, urls, limits, timeouts, tls, allow, deny } = config
  const { clock, logger } = deps
  const clients = urls.map(url =>
    createGuarded({
      ...deps,
      url,
      credentials: createCredentialSource(
        config.credentials.map(one => credentialOptions(one, url)),
        { upstream: url.host, url, env: deps.env, clock, logger },
      ),
      timeouts: { connectMs: timeouts.connectMs, headersMs: timeouts.headersMs, idleBodyMs: timeouts.idleMs },
      trustedHosts: [...config.trustedhosts, ...urls.map(one => one.hostname)],
      httpProxy: config.httpproxy,
      tls: {
        ca: readText(tls.ca),
        cert: readText(tls.certificate),
        key: readText(tls.key),
        insecureSkipVerify: tls.skipverify,
      },
      limits: {
        maxRequests: limits.requests,
        maxQueued: limits.queue,
        bytesPerSecond: limits.bytespersecond === 0 ? undefined : limits.bytespersecond,
      },
      retries: limits.retries,
    }),
  )
  const shown = urls.map(url => redactUrl(url.href)).join(', ')
  // distribution's line, for the upstream that stands where its only one does.
  if (config.isDefault) logger.info(`Registry configured as a proxy cache to ${shown}`)
  else logger.info({ upstream: name, urls: shown }, 'mirroring a registry')
  const isAllowed = allow.length === 0 ? () => true : matchesAny(allow)
  const isDenied = matchesAny(deny)
  return {
    name,
    upstream: withFailover(clients, { name, clock, logger }),
    isDefault: config.isDefault,
    isDockerHub: config.isDockerHub,
    hosts: config.hosts,
    virtualHosts: config.virtualhosts,
    prefixes: config.prefixes,
    allows: repository => isAllowed(repository) && !isDenied(repository),
    freshness: freshnessPolicy(config.freshness),
  }
}

function createOpened(host: string, freshness: FreshnessConfig, deps: RegistryDeps): MirroredRegistry {
  const isDockerHub = dockerHubHosts.includes(host)
  const name = isDockerHub ? 'docker.io' : componentOf(host)
  const url = new URL(isDockerHub ? dockerHubUrl : `https://${host}`)
  const upstream = createGuarded({ ...deps, url, urlFrom: 'client' })
  return {
    name,
    upstream: withFailover([upstream], { name, clock: deps.clock, logger: deps.logger }),
    isDefault: false,
    isDockerHub,
    hosts: [host],
    virtualHosts: [],
    prefixes: [],
    allows: () => true,
    freshness: freshnessPolicy(freshness),
    isNamedByClient: true,
  }
}

/** The client of one URL, failing fast while it cannot help. */
function createGuarded(options: Omit<UpstreamOptions, 'budget'>): Upstream {
  const { clock, logger, url } = options
  const budget = new RateBudget({ clock, onChange: createBudgetLog(logger, url.host) })
  return withCircuit(createUpstream({ ...options, budget }), { clock, logger })
}

function credentialOptions(config: CredentialConfig, url: URL): CredentialOptions {
  const { prefix, ...rest } = config
  const common = prefix === undefined ? {} : { prefix }
  switch (rest.kind) {
    case 'helper':
      return { ...common, ...rest, serverUrl: url.host }
    case 'ecr':
      return {
        ...common,
        ...rest,
        endpoint: rest.endpoint === undefined ? undefined : new URL(rest.endpoint),
      }
    default:
      return { ...common, ...rest }
  }
}

function freshnessPolicy(config: FreshnessConfig): FreshnessPolicy {
  const { tagttlMs, tags, revalidate, deleted, negativettlMs, patienceMs, minage } = config
  return {
    ttlMs: tagttlMs,
    rules: tags.map(({ match, ttlMs }) => ({ matches: matchesAny([match]), ttlMs })),
    revalidation: revalidate,
    whenDeleted: deleted,
    negativeTtlMs: negativettlMs,
    patienceMs,
    cooldown: minage && {
      minAgeMs: minage.ageMs,
      auditOnly: minage.audit,
      exempts: matchesAny(minage.except),
    },
  }
}

function readText(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, 'utf8')
}
