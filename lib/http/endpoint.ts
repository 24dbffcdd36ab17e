// An endpoint is one record: from it follow its route, the 405 of its neighbours, what access it needs, its label in
// metrics and its part of docs/api.md. Adding one to endpoints.ts is all there is to do.
import type { Access } from '../auth/access-controller.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { EndpointDescription } from './api/description.ts'
import type { Context } from './context.ts'

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What the path of a repository's endpoint says. */
export interface Params {
  readonly name: RepositoryName
  /** As it stands in the path; `name` is the same repository's own one, whatever it was asked for by. */
  readonly asked: RepositoryName
  /** The path's last segment, where the pattern has one after `:`. Not parsed yet; empty for other patterns. */
  readonly argument: string
}

/** `public` asks for no credentials at all; an empty list asks for some. */
export type Wanted = readonly Access[] | 'public'

/** An endpoint of the registry as a whole. `path` is literal. */
export interface RegistryEndpoint {
  /** Label in metrics: shared by the methods of one path, named as distribution does. */
  readonly name: string
  /** GET answers HEAD, too. */
  readonly method: HttpMethod
  readonly path: string
  /** For the documentation; the words stand in `api/`. */
  readonly describe: EndpointDescription
  access(ctx: Context): Wanted
  handle(ctx: Context): Promise<void>
}

/** An endpoint of one repository. `path` is `/v2/*name` and a fixed rest, which may end in one `:argument`. */
export interface RepositoryEndpoint {
  readonly name: string
  readonly method: HttpMethod
  readonly path: `/v2/*name/${string}`
  readonly describe: EndpointDescription
  access(ctx: Context, params: Params): Wanted
  handle(ctx: Context, params: Params): Promise<void>
}

export type Endpoint = RegistryEndpoint | RepositoryEndpoint

export function isRepositoryEndpoint(endpoint: Endpoint): endpoint is RepositoryEndpoint {
  return endpoint.path.startsWith(repositoryPrefix)
}

/** How the pattern of every repository endpoint begins. */
export const repositoryPrefix = '/v2/*name'

/** The access that reading, writing and deleting in a repository need. Source: distribution "Token Scope". */
export const access = {
  pull: (_ctx: Context, params: Params) => [accessTo(params, 'pull')],
  push: (_ctx: Context, params: Params) => [accessTo(params, 'pull'), accessTo(params, 'push')],
  remove: (_ctx: Context, params: Params) => [accessTo(params, 'delete')],
} as const satisfies Record<string, (ctx: Context, params: Params) => readonly Access[]>

/** Names are the repository's own. Docker pulls without `library/`, and asks for tokens by the name it knows. */
function accessTo({ name, asked }: Params, action: Access['action']): Access {
  const alias = action === 'pull' && name === `library/${asked}` ? { alias: asked } : {}
  return { type: 'repository', name, action, ...alias }
}
