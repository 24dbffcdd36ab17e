// The routes of a mirror with one upstream, which everything is fetched from.
import { dockerHubHosts } from '../../lib/oci/docker-hub.ts'
import { defaultFreshness, type FreshnessPolicy } from '../../lib/proxy/freshness.ts'
import { createRouteTable } from '../../lib/proxy/route-table.ts'
import type { Routing } from '../../lib/proxy/routing.ts'
import type { Upstream } from '../../lib/upstream/upstream.ts'

/** `host` is what the upstream goes by: at Docker Hub, a name without a slash means `library/<name>`. */
export function routeAllTo(
  upstream: Upstream,
  host: string,
  freshness: FreshnessPolicy = defaultFreshness(),
): Routing {
  const only = {
    name: 'only',
    upstream,
    isDefault: true,
    isDockerHub: dockerHubHosts.includes(host),
    hosts: [host],
    virtualHosts: [],
    prefixes: [],
    allows: () => true,
    freshness,
  }
  return createRouteTable({ registries: [only], reserved: () => false }).route
}
