// The key `redis`: the client options of distribution, by their shape alone, as nothing is done with them yet.
import { flag, integer, duration, listOf, optional, secret, section, text, traits } from './schema.ts'

const durations = ['minretrybackoff', 'maxretrybackoff', 'dialtimeout', 'readtimeout', 'writetimeout']
const moreDurations = ['pooltimeout', 'connmaxidletime', 'connmaxlifetime']
const numbers = ['db', 'protocol', 'maxretries', 'poolsize', 'minidleconns', 'maxidleconns', 'maxactiveconns']
const flags = ['contexttimeoutenabled', 'poolfifo', 'readonly', 'routebylatency', 'routerandomly']
const moreFlags = ['disableidentity', 'disableindentity', 'unstableresp3', 'isclustermode']

export const redisSection = section({
  addrs: listOf(text),
  clientname: optional(text, ''),
  username: optional(text, ''),
  password: optional(secret, ''),
  sentinelusername: optional(text, ''),
  sentinelpassword: optional(secret, ''),
  mastername: optional(text, ''),
  identitysuffix: optional(text, ''),
  ...each([...numbers, 'maxredirects'], () => optional(integer(), undefined)),
  ...each([...durations, ...moreDurations], () => optional(duration, undefined)),
  ...each([...flags, ...moreFlags], () => optional(flag, false)),
  tls: section({
    certificate: optional(text, ''),
    key: optional(text, ''),
    rootcas: listOf(text),
    clientcas: listOf(text),
  }),
}).register(traits, { inert: 'it is not supported yet', aliases: { options: '' } })

function each<T>(keys: readonly string[], piece: () => T): Record<string, T> {
  return Object.fromEntries(keys.map(key => [key, piece()]))
}
