// Bearer authentication in front of a registry that has none: challenges, and the tokens of the service they point to.
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FaultsConfig } from './schema.ts'

type Auth = NonNullable<FaultsConfig['auth']>

const maxTokens = 10_000

/** Tokens are good for the scopes they were asked for, until they expire or the faults change. */
export class TokenService {
  readonly #auth: Auth | undefined
  readonly #tokens = new Map<string, { readonly scopes: readonly string[]; readonly expiresAtMs: number }>()

  constructor(auth: Auth | undefined) {
    this.#auth = auth
  }

  /** Authorization is this service's, and not for the real registry. */
  get isWanted(): boolean {
    return this.#auth !== undefined
  }

  /** WWW-Authenticate for a request that has no valid token; undefined where it may pass. */
  challengeFor(req: IncomingMessage, path: string, realm: string): string | undefined {
    if (this.#auth === undefined) return undefined
    const scope = scopeOf(req.method ?? '', path)
    const token = this.#tokens.get(/^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1] ?? '')
    const isValid = token !== undefined && performance.now() < token.expiresAtMs
    if (isValid && (scope === undefined || token.scopes.some(granted => covers(granted, scope))))
      return undefined
    return `Bearer realm="${realm}",service="fault-upstream"${scope === undefined ? '' : `,scope="${scope}"`}`
  }

  /** The body of the service's answer to a GET; undefined: 401. */
  issue(req: IncomingMessage, query: URLSearchParams): object | undefined {
    const { username, password = '', expiresInSeconds } = this.#auth ?? {}
    const wanted = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    if (username !== undefined && req.headers.authorization !== wanted) return undefined
    const token = randomUUID()
    const scopes = query.getAll('scope').flatMap(scope => scope.split(' '))
    const [oldest] = this.#tokens.keys()
    if (this.#tokens.size >= maxTokens && oldest !== undefined) this.#tokens.delete(oldest)
    this.#tokens.set(token, {
      scopes,
      expiresAtMs: performance.now() + (expiresInSeconds ?? Infinity) * 1000,
    })
    return { token, ...(expiresInSeconds !== undefined && { expires_in: expiresInSeconds }) }
  }
}

/** undefined for what any token opens, such as /v2/. */
function scopeOf(method: string, path: string): string | undefined {
  const name = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1]
  if (name === undefined) return undefined
  return `repository:${name}:${method === 'GET' || method === 'HEAD' ? 'pull' : 'pull,push'}`
}

/** Whether `repository:app:pull,push` says all that `repository:app:pull` does. */
function covers(granted: string, wanted: string): boolean {
  const split = (scope: string) => [
    scope.slice(0, scope.lastIndexOf(':')),
    scope.slice(scope.lastIndexOf(':') + 1),
  ]
  const [resource, actions = ''] = split(granted)
  const [wantedResource, wantedActions = ''] = split(wanted)
  return (
    resource === wantedResource &&
    wantedActions.split(',').every(action => actions.split(',').includes(action))
  )
}
