// Which upstream a repository is mirrored from, and under what name it is known there.
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { Upstream } from '../upstream/upstream.ts'

export interface Route {
  readonly upstream: Upstream
  /** The repository's name at the upstream. */
  readonly name: RepositoryName
  /** The one that its mirrored content is stored under here, however it was asked for. */
  readonly stored: RepositoryName
}

/** Undefined where a name has no upstream. */
export type Routing = (name: RepositoryName) => Route | undefined

/** Hosts by which Docker Hub goes; only there does a name without a slash mean `library/<name>`. */
const dockerHubHosts: ReadonlySet<string> = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
])

/** Everything is mirrored from one upstream. */
export function routeAllTo(upstream: Upstream, upstreamHost: string): Routing {
  const isDockerHub = dockerHubHosts.has(upstreamHost)
  return name => {
    const official = `library/${name}`
    const known = isDockerHub && !name.includes('/') && isRepositoryName(official) ? official : name
    return { upstream, name: known, stored: known }
  }
}
