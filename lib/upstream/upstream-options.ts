// What an upstream is made with, and how its transport comes of that.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { createAddressGuard } from './address-guard.ts'
import type { CredentialSource } from './credentials/credential-source.ts'
import type { Timeouts } from './dispatchers.ts'
import type { Proxies } from './proxies.ts'
import type { RateBudget } from './rate-budget.ts'
import { RequestQueue, type QueueLimits } from './request-queue.ts'
import type { TlsOptions } from './tls.ts'
import { Transport } from './transport.ts'

export interface UpstreamOptions {
  /** For logs, errors and metrics; default the host of `url`. */
  readonly name?: string | undefined
  /** http or https; its path is put before /v2/, and a user name and password in it are used as credentials. */
  readonly url: URL
  /** Win over those in `url`. */
  readonly credentials?: CredentialSource | undefined
  /** Of this program, for User-Agent. */
  readonly version: string
  readonly timeouts?: Timeouts | undefined
  /**
   * Whose choice `url` is. The default `configuration` trusts its host: it may have a private address, as `trustedHosts`
   * may. What a `client` has named has to be public.
   */
  readonly urlFrom?: 'configuration' | 'client' | undefined
  /** Hosts, as in URLs, that redirects and token services may lead to whatever their addresses. Default none. */
  readonly trustedHosts?: readonly string[] | undefined
  /** The one proxy for everything that this upstream leads to, http or https; wins over `proxies`. */
  readonly httpProxy?: URL | undefined
  /** What proxiesFrom() reads. Default none. */
  readonly proxies?: Proxies | undefined
  readonly tls?: TlsOptions | undefined
  readonly limits?: UpstreamLimits | undefined
  /** How many more tries after one that has met trouble which may pass. Default 2. */
  readonly retries?: number | undefined
  /** Is shown the headers of the upstream's own answers. */
  readonly budget?: RateBudget | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'upstreamRequests' | 'upstreamRetries' | 'upstreamQueued'>
}

export interface UpstreamLimits extends QueueLimits {
  /** Of all blobs together; default as many as come. */
  readonly bytesPerSecond?: number | undefined
}

/** Makes the transport of the upstream of that name. Throws TypeError for certificates that cannot be read. */
export function createTransport(name: string, options: UpstreamOptions): Transport {
  const { url, urlFrom = 'configuration', trustedHosts = [], httpProxy, clock, metrics, budget } = options
  const ownHosts = urlFrom === 'configuration' ? [url.hostname] : []
  return new Transport({
    upstream: name,
    userAgent: `entrepot/${options.version}`,
    timeouts: options.timeouts,
    guard: createAddressGuard([...ownHosts, ...trustedHosts]),
    proxies: httpProxy === undefined ? options.proxies : { http: httpProxy, https: httpProxy },
    tls: options.tls,
    queue: new RequestQueue({
      ...options.limits,
      upstream: name,
      onWaiting: change => metrics.upstreamQueued.inc({ upstream: name }, change),
    }),
    retries: options.retries,
    clock,
    onAnswer: (operation, code) => metrics.upstreamRequests.inc({ upstream: name, operation, code }),
    onHeaders: (operation, header) => {
      if (operation !== 'token') budget?.observe(header)
    },
    onRetry: () => metrics.upstreamRetries.inc({ upstream: name }),
  })
}
