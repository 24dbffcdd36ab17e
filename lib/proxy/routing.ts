// Which upstream a repository is mirrored from, and under what name it is known there.
import { dockerHubHosts, officialRepository } from '../oci/docker-hub.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { defaultFreshness, type FreshnessPolicy } from './freshness.ts'

export interface Route {
  readonly upstream: Upstream
  /** The repository's name at the upstream. */
  readonly name: RepositoryName
  /** The one that its mirrored content is stored under here, however it was asked for. */
  readonly stored: RepositoryName
  /** Whether it was named by a client and by nobody else: then its word for having something is not enough. */
  readonly isNamedByClient?: boolean | undefined
  /** How long what this upstream says is served without asking it. */
  readonly freshness: FreshnessPolicy
}

/** Undefined where a name has no upstream. */
export type Routing = (name: RepositoryName) => Route | undefined

/** Everything is mirrored from one upstream. */
export function routeAllTo(
  upstream: Upstream,
  upstreamHost: string,
  freshness: FreshnessPolicy = defaultFreshness(),
): Routing {
  const isDockerHub = dockerHubHosts.includes(upstreamHost)
  return name => {
    const known = isDockerHub ? officialRepository(name) : name
    return { upstream, name: known, stored: known, freshness }
  }
}
