// Whom the connections to an upstream may lead to. Where they go is partly the choice of others: a client names a host
// (`ns`), an upstream redirects, or names a token service. None of them shall make this process talk to what only it
// can reach: its own machine, the networks it is in, the metadata service of its cloud.
//
// A host is either trusted, because the configuration names it, or all of its addresses that are used are public. A
// literal address is checked before the request; a name is checked in the very lookup that the socket connects by, so
// that a name cannot have another address when it is used than when it was checked.
import dns from 'node:dns'
import net, { type LookupFunction } from 'node:net'

/** A host that is not trusted has no public address. `host` is as in a URL. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError'
  readonly host: string

  constructor(host: string) {
    super(`Cannot connect to "${host}": not a public address`)
    this.host = host
  }
}

export interface AddressGuard {
  /** Whether the configuration names the host: then any address and any port of it will do. */
  isTrusted(hostname: string): boolean
  /**
   * Throws AddressRefusedError for a literal address that is not public, and for `localhost`, unless trusted. It is all
   * that can be checked of a request that goes through a proxy, since the name is then looked up there.
   */
  check(url: URL): void
  /** For the options of a socket; fails with AddressRefusedError where a name has no address that is allowed. */
  readonly lookup: LookupFunction
}

/** How names become addresses; dns.lookup() but for tests. */
export type Resolve = (
  hostname: string,
  options: dns.LookupAllOptions,
  callback: (err: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[] | undefined) => void,
) => void

/** Makes a guard that trusts these hosts, given as in URLs: names or addresses, of any case, with or without port. */
export function createAddressGuard(
  trustedHosts: Iterable<string>,
  resolve: Resolve = lookupAll,
): AddressGuard {
  const trusted: ReadonlySet<string> = new Set([...trustedHosts].map(hostnameOf))
  const isTrusted = (hostname: string) => trusted.has(normalized(hostname))
  return {
    isTrusted,
    check(url) {
      const hostname = normalized(url.hostname)
      if (isTrusted(hostname)) return
      const isRefused =
        hostname === 'localhost' ||
        hostname.endsWith('.localhost') ||
        (net.isIP(hostname) !== 0 && !isPublicAddress(hostname))
      if (isRefused) throw new AddressRefusedError(hostname)
    },
    lookup(hostname, options, callback) {
      resolve(hostname, { ...options, all: true }, (err, addresses) => {
        const usable = (addresses ?? []).filter(
          ({ address }) => isTrusted(hostname) || isPublicAddress(address),
        )
        const [first] = usable
        if (err !== null) callback(err, '')
        else if (first === undefined) callback(new AddressRefusedError(hostname), '')
        else if (options.all) callback(null, usable)
        else callback(null, first.address, first.family)
      })
    },
  }
}

/** Whether an address is one of the whole Internet: not private, local, shared, multicast, reserved or for examples. */
export function isPublicAddress(address: string): boolean {
  const family = net.isIP(address)
  if (family === 4) return !special.check(address, 'ipv4')
  if (family !== 6 || address.includes('%')) return false
  // An IPv4 address in the dress of IPv6 ("::ffff:10.0.0.1") is held against the rules of IPv4 by BlockList itself.
  return global6.check(address, 'ipv6') && !special.check(address, 'ipv6')
}

/** IANA's special-purpose registry, and multicast. */
const special4: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // shared by customers of a provider
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // link-local, and the metadata services of clouds
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // relays to 6to4
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, and broadcast
]
/** What is outside these is unspecified, loopback, unique-local, link-local, multicast, or not given out. */
const global6 = new net.BlockList()
global6.addSubnet('2000::', 3, 'ipv6')
global6.addSubnet('64:ff9b::', 96, 'ipv6') // NAT64
global6.addSubnet('::ffff:0:0', 96, 'ipv6') // IPv4-mapped

const special = new net.BlockList()
special.addSubnet('2001::', 23, 'ipv6') // protocols' own, tunnels through NAT and benchmarks among them
special.addSubnet('2001:db8::', 32, 'ipv6') // documentation
special.addSubnet('3fff::', 20, 'ipv6') // documentation
for (const [network, prefix] of special4) {
  special.addSubnet(network, prefix, 'ipv4')
  // The same networks behind a translator, and at the other end of a 6to4 tunnel.
  special.addSubnet(`64:ff9b::${network}`, 96 + prefix, 'ipv6')
  special.addSubnet(`2002:${hexOf(network)}::`, 16 + prefix, 'ipv6')
}

function hexOf(address4: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address4.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

function lookupAll(...[hostname, options, callback]: Parameters<Resolve>): void {
  dns.lookup(hostname, options, callback)
}

function hostnameOf(host: string): string {
  return normalized(URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host)
}

/** Lower case, without the brackets of an IPv6 address and the dot at the end of an absolute name. */
function normalized(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
}
