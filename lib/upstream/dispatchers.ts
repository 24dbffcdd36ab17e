// How sockets to an upstream are made: timeouts, whom they may lead to, TLS, and through which proxy. What follows
// HTTP (redirects, retries, credentials) is transport.ts's.
import type { SecureContext } from 'node:tls'
import { Agent, EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici'
import type { AddressGuard } from './address-guard.ts'
import type { Proxies } from './proxies.ts'
import { createTlsContext, type TlsOptions } from './tls.ts'

export interface Timeouts {
  /** Name lookup, TCP and TLS. Default 5 s. */
  readonly connectMs?: number | undefined
  /** From the request to the last header. Default 20 s. */
  readonly headersMs?: number | undefined
  /** Between two pieces of a body that we are ready to read. Default 60 s. There is none for a body as a whole. */
  readonly idleBodyMs?: number | undefined
}

export interface DispatcherOptions {
  readonly timeouts?: Timeouts | undefined
  readonly guard: AddressGuard
  readonly tls?: TlsOptions | undefined
  readonly proxies?: Proxies | undefined
}

/** The dispatcher for each host, each with its own connections. */
export interface Dispatchers {
  for(hostname: string): Dispatcher
  /** Breaks off what is under way. */
  destroy(): Promise<void>
}

/**
 * Makes them; nothing connects yet. Who is not trusted is shown no client certificate and has to have a valid one of
 * its own, whatever `tls` says of the upstream. Throws TypeError for certificates that cannot be read.
 */
export function createDispatchers(options: DispatcherOptions): Dispatchers {
  const { guard, tls } = options
  const trusted = createDispatcher(options)
  const hasOwnTls = tls?.cert !== undefined || tls?.insecureSkipVerify === true
  const others = hasOwnTls ? createDispatcher({ ...options, tls: { ca: tls.ca } }) : trusted
  return {
    for: hostname => (guard.isTrusted(hostname) ? trusted : others),
    async destroy() {
      await Promise.all([trusted.destroy(), others.destroy()])
    },
  }
}

function createDispatcher({ timeouts = {}, guard, tls, proxies }: DispatcherOptions): Dispatcher {
  const { connectMs = 5_000, headersMs = 20_000, idleBodyMs = 60_000 } = timeouts
  const secure = tls === undefined ? {} : secureOptions(tls)
  const connect = { ...secure, timeout: connectMs, lookup: guard.lookup }
  const pool = { headersTimeout: headersMs, bodyTimeout: idleBodyMs }
  if (proxies === undefined) return new Agent({ ...pool, connect })
  return new EnvHttpProxyAgent({
    ...pool,
    // Used for what NO_PROXY names; the proxies themselves the configuration names, whatever their addresses.
    connect,
    requestTls: { ...secure, timeout: connectMs },
    proxyTls: { ...(tls?.ca === undefined ? {} : secureOptions({ ca: tls.ca })), timeout: connectMs },
    // An empty text, and not undefined, keeps undici from looking into the environment by itself.
    httpProxy: proxies.http?.href ?? '',
    httpsProxy: proxies.https?.href ?? '',
    noProxy: proxies.noProxy ?? '',
    // Many proxies tunnel to port 443 and to no other.
    proxyTunnel: false,
    clientFactory: (origin, given: Pool.Options) => new Pool(origin, { ...given, headersTimeout: connectMs }),
    factory: (origin, given: Pool.Options) => new Pool(origin, { ...pool, ...given }),
  })
}

function secureOptions(tls: TlsOptions): {
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: boolean
} {
  return { secureContext: createTlsContext(tls), rejectUnauthorized: tls.insecureSkipVerify !== true }
}
