// Which upstream a repository is mirrored from, and under what name it is known there.
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { FreshnessPolicy } from './freshness.ts'

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
