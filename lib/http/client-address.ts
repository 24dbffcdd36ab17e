// Who a request comes from, where proxies may stand in front of us. A header can be written by anybody, so it counts
// only from a peer that the operator trusts, and only as far as trusted proxies wrote it: from the right.
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { parseForwardedElements } from './forwarded.ts'

export interface ProxyTrust {
  /** The address of the client, without a port; '' where it has none, as behind a unix socket. */
  clientOf(req: IncomingMessage): string
  /** Whether what this request says of its scheme and host as the client saw them is to be believed. */
  believes(req: IncomingMessage): boolean
}

export interface TrustSettings {
  /**
   * Addresses, networks in CIDR form, or the words `loopback` and `private`. undefined: nobody is believed on who the
   * client is, and everybody on scheme and host.
   */
  readonly trustedProxies: readonly string[] | undefined
  /** Peers have no addresses: whoever may open the socket is a proxy that is trusted, if any is. Default: not so. */
  readonly isUnixSocket?: boolean | undefined
}

/** Throws TypeError for what is no network. */
export function createProxyTrust({ trustedProxies, isUnixSocket = false }: TrustSettings): ProxyTrust {
  if (trustedProxies === undefined) return { clientOf: peerOf, believes: () => true }
  const networks = blockListOf(trustedProxies)
  const isTrusted = (address: string) =>
    address === '' ? isUnixSocket : networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  return {
    clientOf(req) {
      let client = peerOf(req)
      if (!isTrusted(client)) return client
      for (const said of hopsOf(req).reverse()) {
        const address = parseHop(said)
        // Whoever hides is behind the last that did not.
        if (address === undefined) return client
        client = address
        if (!isTrusted(client)) return client
      }
      return client
    },
    believes: req => isTrusted(peerOf(req)),
  }
}

const words: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/** The addresses of `networks`, each a single address or in CIDR form. */
export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks.flatMap(text => words[text] ?? [text])) {
    const [address = '', bits, ...rest] = network.split('/')
    const version = isIP(address)
    const longest = version === 6 ? 128 : 32
    const isLength = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest)
    if (version === 0 || !isLength || rest.length > 0) {
      throw new TypeError(`Cannot trust "${network}": expected an address or a network such as 10.0.0.0/8`)
    }
    const family = version === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}

function peerOf({ socket }: IncomingMessage): string {
  return plain(socket.remoteAddress ?? '')
}

/** An IPv4 address that a socket for both families wrote as IPv6 is itself again; a zone is left out. */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  return (mapped ?? address).replace(/%.*$/, '')
}

/**
 * Whom proxies said that they serve, the nearest last. X-Forwarded-For goes before Forwarded: nearly every proxy writes
 * it, and one that does passes on the Forwarded that a client made up.
 */
function hopsOf({ headers }: IncomingMessage): string[] {
  const list = headers['x-forwarded-for']
  if (list !== undefined) return String(list).split(',')
  const { forwarded } = headers
  return forwarded === undefined ? [] : parseForwardedElements(forwarded).map(({ for: hop }) => hop ?? '')
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; undefined for what names no address. */
function parseHop(text: string): string | undefined {
  const hop = text.trim()
  const parts = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\w+)?$/.exec(hop)
  const address = plain(parts?.[1] ?? parts?.[2] ?? hop)
  return isIP(address) === 0 ? undefined : address
}
