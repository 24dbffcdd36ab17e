// Through which HTTP proxy an upstream is reached, as the variables that every program knows have it. A proxy's URL may
// hold a password: it gets into no message here.

/** Proxies by the scheme of what is asked for. Their URLs are http or https. */
export interface Proxies {
  readonly http?: URL | undefined
  /** Without one, `http` serves https as well, as in Node itself. */
  readonly https?: URL | undefined
  /** Hosts that are asked directly, as in NO_PROXY: names with all that is below them, `host:port`, or `*`. */
  readonly noProxy?: string | undefined
}

/** What of the environment says which proxy to use, the first that is set. Lower case first: CGI cannot forge it. */
const variables = {
  http: ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'],
  https: ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'],
  noProxy: ['no_proxy', 'NO_PROXY'],
} as const

/**
 * Reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in lower case or upper case; empty is as good as absent.
 * Undefined if there is no proxy. Throws TypeError, which names the variable and not its value, for what is no URL of
 * an HTTP proxy: going around a proxy that is set up would be worse.
 */
export function proxiesFrom(env: Readonly<Record<string, string | undefined>>): Proxies | undefined {
  const http = proxyOf(env, variables.http)
  const https = proxyOf(env, variables.https)
  if (http === undefined && https === undefined) return undefined
  return { http, https, noProxy: firstSet(env, variables.noProxy)?.value }
}

function proxyOf(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): URL | undefined {
  const set = firstSet(env, names)
  if (set === undefined) return undefined
  const { name, value } = set
  // `proxy:3128` is common, and a valid URL with the scheme `proxy`.
  const text = value.includes('://') ? value : `http://${value}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new TypeError(`Cannot use proxy of "${name}": expected the URL of an HTTP proxy`)
}

function firstSet(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): { readonly name: string; readonly value: string } | undefined {
  for (const name of names) {
    const value = env[name]?.trim() ?? ''
    if (value !== '') return { name, value }
  }
  return undefined
}
