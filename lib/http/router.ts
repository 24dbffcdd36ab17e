// Finds the endpoint of a request. The grammar of a registry's paths is small but awkward for general routers: a
// repository name spans slashes and may itself contain `manifests`, `blobs` or `uploads`, so that a path can only be
// read from its end. Hence:
//
// 1. Decode the path once; `a%2Fb` and `a/b` are the same name.
// 2. Literal paths come from a map.
// 3. Otherwise take the last segment as the argument and see which fixed part stands before it, longest first, so that
//    `/blobs/uploads/` wins over `/blobs/`. What is left between `/v2/` and the fixed part is the name.
// 4. A name that the grammar refuses is no route: 404 before anybody is asked for credentials, as distribution does.
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import { answerEmpty, type Context } from './context.ts'
import {
  isRepositoryEndpoint,
  repositoryPrefix,
  type Endpoint,
  type Params,
  type RegistryEndpoint,
  type RepositoryEndpoint,
  type Wanted,
} from './endpoint.ts'
import { HttpError } from './http-error.ts'

/** What a request was routed to. `name` is a metrics label. */
export type Match =
  | {
      readonly kind: 'endpoint'
      readonly name: string
      /** The registry that the client says it means, if that had a say in what is served. */
      readonly namespace?: string | undefined
      /** For the log; undefined: it is no endpoint of a repository. */
      readonly params?: Params | undefined
      access(ctx: Context): Wanted
      handle(ctx: Context): Promise<void>
    }
  | { readonly kind: 'refused'; readonly name: string; refuse(): HttpError }

export interface Router {
  match(method: string, path: string, via?: Via): Match
}

/** How a client says whose repository it means, beside the path. */
export interface Via {
  /** The query parameter `ns`: containerd names the registry that it believes to talk to. */
  readonly namespace?: string | undefined
  /** The Host header. */
  readonly host?: string | undefined
}

/** The repository that a name means, given how it was asked for; undefined where there is none such. */
export type Address = (name: RepositoryName, via: Via) => RepositoryName | undefined

/** Of a registry that mirrors nothing: names are what they are, and `ns` is none of its business. */
export const addressDirectly: Address = name => name

type Methods<E> = ReadonlyMap<string, E>

interface RepositoryRoute {
  /** What stands between the name and the argument; without an argument, the end but for a final slash. */
  readonly fixed: string
  readonly takesArgument: boolean
  readonly methods: Methods<RepositoryEndpoint>
}

/**
 * Makes the router of these endpoints. `prefix` is what stands before every path but `/`: empty, or `/some/where`.
 * `address` tells whose repository a name means.
 */
export function createRouter(
  endpoints: readonly Endpoint[],
  prefix: string,
  address: Address = addressDirectly,
): Router {
  const literal = new Map<string, Methods<RegistryEndpoint>>()
  for (const [path, methods] of byPath(endpoints.filter(isRegistryEndpoint))) {
    literal.set(path === '/' ? path : prefix + path, methods)
    if (path !== '/')
      literal.set(prefix + (path.endsWith('/') ? withoutFinalSlash(path) : `${path}/`), methods)
  }
  const routes = [...byPath(endpoints.filter(isRepositoryEndpoint))]
    .map(([path, methods]) => toRoute(path, methods))
    .toSorted((a, b) => b.fixed.length - a.fixed.length)
  const start = `${prefix}/v2/`

  return {
    match(method, rawPath, via = {}) {
      const path = decode(rawPath)
      if (path === undefined) return badEncoding
      const methods = literal.get(path)
      if (methods !== undefined) {
        if (method === 'OPTIONS') return listMethods(methods, ctx => accessOf(methods, ctx))
        return pick(methods, method, bindRegistryEndpoint)
      }
      if (!path.startsWith(start)) return notFound
      for (const route of routes) {
        const written = readParams(path, start.length, route)
        if (written === undefined) continue
        const { asked, argument } = written
        if (!isRepositoryName(asked)) return badName
        if (method === 'OPTIONS') return listMethods(route.methods, () => [])
        const name = address(asked, via)
        if (name === undefined) return unknownNamespace
        const params = { name, asked, argument }
        const namespace = address === addressDirectly ? undefined : via.namespace
        return pick(route.methods, method, endpoint => bindRepositoryEndpoint(endpoint, params, namespace))
      }
      return notFound
    },
  }
}

function isRegistryEndpoint(endpoint: Endpoint): endpoint is RegistryEndpoint {
  return !isRepositoryEndpoint(endpoint)
}

function byPath<E extends Endpoint>(endpoints: readonly E[]): Map<string, Map<string, E>> {
  const paths = new Map<string, Map<string, E>>()
  for (const endpoint of endpoints) {
    const methods = paths.get(endpoint.path) ?? new Map<string, E>()
    paths.set(endpoint.path, methods.set(endpoint.method, endpoint))
    if (endpoint.method === 'GET') methods.set('HEAD', endpoint)
  }
  return paths
}

function toRoute(path: string, methods: Methods<RepositoryEndpoint>): RepositoryRoute {
  const rest = path.slice(repositoryPrefix.length)
  const colon = rest.indexOf(':')
  return colon === -1
    ? { fixed: withoutFinalSlash(rest), takesArgument: false, methods }
    : { fixed: rest.slice(0, colon), takesArgument: true, methods }
}

/** What the path says; the name is not checked yet. */
function readParams(
  path: string,
  nameStart: number,
  route: RepositoryRoute,
): { readonly asked: string; readonly argument: string } | undefined {
  const { fixed, takesArgument } = route
  const head = takesArgument ? path.slice(0, path.lastIndexOf('/') + 1) : withoutFinalSlash(path)
  const nameEnd = head.length - fixed.length
  if (nameEnd < nameStart || !head.endsWith(fixed)) return undefined
  const argument = takesArgument ? path.slice(head.length) : ''
  if (takesArgument && argument === '') return undefined
  return { asked: path.slice(nameStart, nameEnd), argument }
}

function withoutFinalSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function decode(path: string): string | undefined {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

function pick<E extends Endpoint>(methods: Methods<E>, method: string, bind: (endpoint: E) => Match): Match {
  const endpoint = methods.get(method)
  return endpoint === undefined ? methodNotAllowed(methods, method) : bind(endpoint)
}

function bindRegistryEndpoint(endpoint: RegistryEndpoint): Match {
  return {
    kind: 'endpoint',
    name: endpoint.name,
    access: ctx => endpoint.access(ctx),
    handle: ctx => endpoint.handle(ctx),
  }
}

function bindRepositoryEndpoint(
  endpoint: RepositoryEndpoint,
  params: Params,
  namespace: string | undefined,
): Match {
  return {
    kind: 'endpoint',
    name: endpoint.name,
    namespace,
    params,
    access: ctx => endpoint.access(ctx, params),
    handle: ctx => endpoint.handle(ctx, params),
  }
}

/** OPTIONS asks for credentials where the other methods do, but for no access: distribution answers it so, too. */
function listMethods(methods: Methods<Endpoint>, access: (ctx: Context) => Wanted): Match {
  return {
    kind: 'endpoint',
    name: nameOf(methods),
    access,
    handle: async ctx => {
      answerEmpty(ctx, 200)
      ctx.set('Allow', allowed(methods))
    },
  }
}

function accessOf(methods: Methods<RegistryEndpoint>, ctx: Context): Wanted {
  const isPublic = [...methods.values()].every(endpoint => endpoint.access(ctx) === 'public')
  return isPublic ? 'public' : []
}

function methodNotAllowed(methods: Methods<Endpoint>, method: string): Match {
  const refuse = () =>
    new HttpError('UNSUPPORTED', `Cannot ${method} here`, { headers: { Allow: allowed(methods) } })
  return { kind: 'refused', name: nameOf(methods), refuse }
}

function allowed(methods: Methods<Endpoint>): string {
  return [...methods.keys()].toSorted().join(', ')
}

function nameOf(methods: Methods<Endpoint>): string {
  const [name = 'unknown'] = [...methods.values()].map(endpoint => endpoint.name)
  return name
}

const notFound: Match = {
  kind: 'refused',
  name: 'unknown',
  refuse: () => new HttpError('NAME_UNKNOWN', 'Cannot find path: no endpoint has it'),
}

const unknownNamespace: Match = {
  kind: 'refused',
  name: 'unknown',
  refuse: () =>
    new HttpError('NAME_UNKNOWN', 'Cannot find repository: its registry is not mirrored here', {
      detail: 'the registry of this repository is not mirrored here',
    }),
}

const badName: Match = {
  kind: 'refused',
  name: 'unknown',
  refuse: () =>
    new HttpError('NAME_INVALID', 'Cannot find path: it has no valid repository name', { status: 404 }),
}

const badEncoding: Match = {
  kind: 'refused',
  name: 'unknown',
  refuse: () => new HttpError('NAME_INVALID', 'Cannot decode path: malformed percent-encoding'),
}
