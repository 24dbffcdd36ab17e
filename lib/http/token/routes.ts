// The paths of the token service, in front of the registry's own router: they are no part of the registry's API, are
// not below `http.prefix`, and are there in read-only mode, too. HEAD is refused, as it would make a token for nobody.
import type { TokenService } from '../../auth/token-service/token-service.ts'
import type { Metrics } from '../../metrics.ts'
import type { Context } from '../context.ts'
import { HttpError } from '../http-error.ts'
import type { Address, Match, Router } from '../router.ts'
import { answerKeys } from './keys.ts'
import { answerLogin } from './login.ts'
import { answerOAuth } from './oauth.ts'

export interface TokenRoutesDeps {
  readonly tokenService: TokenService
  readonly metrics: Pick<Metrics, 'tokensIssued'>
  /** Whose repository a name means. */
  readonly address: Address
}

type Handle = (ctx: Context) => Promise<void>
type Routes = ReadonlyMap<string, { readonly name: string; readonly methods: ReadonlyMap<string, Handle> }>

/** `router` with the paths of the token service before its own. */
export function withTokenRoutes(router: Router, deps: TokenRoutesDeps): Router {
  const { path } = deps.tokenService
  const keys: Handle = ctx => answerKeys(ctx, deps.tokenService)
  const routes: Routes = new Map([
    [
      path,
      {
        name: 'token',
        methods: new Map<string, Handle>([
          ['GET', ctx => answerLogin(ctx, deps)],
          ['POST', ctx => answerOAuth(ctx, deps)],
        ]),
      },
    ],
    [
      `${path}/jwks.json`,
      {
        name: 'token-keys',
        methods: new Map([
          ['GET', keys],
          ['HEAD', keys],
        ]),
      },
    ],
  ])
  return { match: (method, asked, via) => find(routes, method, asked) ?? router.match(method, asked, via) }
}

function find(routes: Routes, method: string, path: string): Match | undefined {
  const route = routes.get(path)
  if (route === undefined) return undefined
  const { name, methods } = route
  const handle = methods.get(method)
  if (handle !== undefined) return { kind: 'endpoint', name, access: () => 'public', handle }
  const headers = { Allow: [...methods.keys()].join(', ') }
  return {
    kind: 'refused',
    name,
    refuse: () => new HttpError('UNSUPPORTED', `Cannot ${method} here`, { headers }),
  }
}
