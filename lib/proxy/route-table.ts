// One port, every registry: how a request says whose repository it means, and where that one's content lies here.
//
// A client may name the registry by `ns` (containerd), by the Host header (a name for each upstream), or by the first
// component of the repository (a host such as ghcr.io, or a configured prefix); else it means the default upstream. All of
// these lead to one name, under which the content lies and by which policies know it:
//
//   default upstream     its own name for the repository: library/nginx (as distribution's mirror lays it out)
//   any other upstream   <its name here>/<its name for the repository>: ghcr.io/owner/app
//
// address() finds that name; route() tells from it which upstream to ask. Both are pure, but for registries that `open`
// lets in, which are made when they are first asked for.
import { officialName } from '../oci/docker-hub.ts'
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { FreshnessPolicy } from './freshness.ts'
import type { Route, Routing } from './routing.ts'

/** An upstream and what it goes by. */
export interface MirroredRegistry {
  /** A component of repository names. */
  readonly name: string
  readonly upstream: Upstream
  readonly isDefault: boolean
  /** Only there a name without a slash means `library/<name>`. */
  readonly isDockerHub: boolean
  /** Lower case, with port if there is one. */
  readonly hosts: readonly string[]
  /** Host headers, lower case; one without a port matches with any. */
  readonly virtualHosts: readonly string[]
  /** First components beside `name` and `hosts`. */
  readonly prefixes: readonly string[]
  /** Whether a repository, by its name there, is mirrored at all. */
  allows(name: RepositoryName): boolean
  readonly freshness: FreshnessPolicy
  /** Nobody has configured it. */
  readonly isNamedByClient?: boolean | undefined
}

export interface RouteTableOptions {
  readonly registries: readonly MirroredRegistry[]
  /** Whether a repository is for pushes alone. */
  reserved(name: RepositoryName): boolean
  /** The registry of a host that nobody configured; undefined where it is not let in. */
  readonly open?: ((host: string) => MirroredRegistry | undefined) | undefined
}

export interface Asked {
  readonly namespace?: string | undefined
  readonly host?: string | undefined
}

/** A repository of a mirrored registry. */
export interface Place {
  readonly registry: MirroredRegistry
  /** Its name there, and the one that its content is stored under here. */
  readonly name: RepositoryName
  readonly stored: RepositoryName
  /** Both of them keep it from being fetched. */
  readonly isReserved: boolean
  readonly isAllowed: boolean
}

export interface RouteTable {
  /** The one name of the repository that is meant; undefined: its registry is not mirrored here. */
  address(name: RepositoryName, asked: Asked): RepositoryName | undefined
  /** Whose it is, be it fetched or not; undefined: nobody's. */
  placeOf(name: RepositoryName): Place | undefined
  /** What is fetched for a name that address() has given; undefined: nothing. */
  readonly route: Routing
}

export function createRouteTable({ registries, reserved, open }: RouteTableOptions): RouteTable {
  const byHost = new Map(registries.flatMap(one => one.hosts.map(host => [host, one] as const)))
  const byVirtualHost = new Map(registries.flatMap(one => one.virtualHosts.map(host => [host, one] as const)))
  const byComponent = new Map(
    registries.flatMap(one => [one.name, ...one.hosts, ...one.prefixes].map(part => [part, one] as const)),
  )
  const byName = new Map(registries.filter(one => !one.isDefault).map(one => [one.name, one]))
  const standard = registries.find(one => one.isDefault)

  const opened = (named: string): MirroredRegistry | undefined => {
    const host = open === undefined ? undefined : publicHost(named)
    return host === undefined ? undefined : (byHost.get(host) ?? open?.(host))
  }

  /** Who is meant by a repository's first component, of those that have more than one. */
  const meantBy = (name: string): MirroredRegistry | undefined => {
    const [head] = split(name)
    return head === undefined ? undefined : (byComponent.get(head.toLowerCase()) ?? opened(hostOf(head)))
  }

  function nameHere(registry: MirroredRegistry, name: string): RepositoryName | undefined {
    const bare = meantBy(name)?.name === registry.name ? split(name)[1] : name
    const there = registry.isDockerHub ? officialName(bare) : bare
    const here = registry.isDefault ? there : `${registry.name}/${there}`
    // What begins like another registry's name would be taken for that one's.
    const isClear = !registry.isDefault || (meantBy(there) ?? registry) === registry
    return isClear && isRepositoryName(there) && isRepositoryName(here) ? here : undefined
  }

  function address(name: RepositoryName, { namespace, host }: Asked): RepositoryName | undefined {
    const ns = namespace === undefined ? undefined : lowerCase(namespace)
    if (ns !== undefined && ns !== (host && lowerCase(host))) {
      const registry = byHost.get(ns) ?? opened(ns)
      return registry && nameHere(registry, name)
    }
    const virtual = host === undefined ? undefined : ofVirtualHost(host.toLowerCase())
    if (virtual !== undefined) return nameHere(virtual, name)
    const named = meantBy(name)
    return named === undefined ? name : nameHere(named, name)
  }

  function ofVirtualHost(host: string): MirroredRegistry | undefined {
    if (byVirtualHost.size === 0) return undefined
    return byVirtualHost.get(host) ?? byVirtualHost.get(host.replace(/:\d+$/, ''))
  }

  function placeOf(name: RepositoryName): Place | undefined {
    const [head, rest] = split(name)
    const other = head === undefined ? undefined : (byName.get(head) ?? openedUnlessKnown(head))
    const registry = other ?? standard
    if (registry === undefined) return undefined
    const bare = other === undefined ? name : rest
    const there = registry.isDockerHub ? officialName(bare) : bare
    if (!isRepositoryName(there)) return undefined
    const stored = other === undefined ? there : name
    return {
      registry,
      name: there,
      stored,
      // The official name of what is asked for by its short one may be reserved, too.
      isReserved: reserved(name) || (stored !== name && reserved(stored)),
      isAllowed: registry.allows(there),
    }
  }

  function route(asked: RepositoryName): Route | undefined {
    const place = placeOf(asked)
    if (place === undefined || place.isReserved || !place.isAllowed) return undefined
    const { registry, name, stored } = place
    const { upstream, freshness, isNamedByClient } = registry
    return { upstream, name, stored, freshness, isNamedByClient }
  }

  function openedUnlessKnown(head: string): MirroredRegistry | undefined {
    return byComponent.has(head.toLowerCase()) ? undefined : opened(hostOf(head))
  }

  return { address, placeOf, route }
}

/** The first component and the rest; neither of them where there is only one. */
function split(name: string): readonly [head: string | undefined, rest: string] {
  const slash = name.indexOf('/')
  return slash === -1 ? [undefined, name] : [name.slice(0, slash), name.slice(slash + 1)]
}

/** A host as it stands in a repository name, where a port follows an underscore. */
function hostOf(component: string): string {
  return component.toLowerCase().replace(/_(\d{1,5})$/, ':$1')
}

/** The component that stands for a host in repository names. */
export function componentOf(host: string): string {
  return host.replace(':', '_')
}

/** Of ASCII alone: the Kelvin sign must not become the k of a host, since it cannot be sent back in a header. */
function lowerCase(host: string): string {
  return host.replace(/[A-Z]+/g, letters => letters.toLowerCase())
}

/**
 * The one way to write a host that a client may name, without the port that https has anyway: what is configured for a
 * host must hold however it is written. Undefined for what is no such host.
 */
function publicHost(named: string): string | undefined {
  const url = `https://${named}`
  return isPublicHostName(named) && URL.canParse(url) ? new URL(url).host : undefined
}

/** A name with a dot, in the public tree as far as that can be told: never an address. */
function isPublicHostName(host: string): boolean {
  return /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9](?::\d{1,5})?$/.test(
    host,
  )
}
