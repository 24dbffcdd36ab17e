// The HTTP application: the onion that every request travels through, on one screen. It does not listen and has no
// globals, so that two of them fit in one process.
import Koa from 'koa'
import type { AccessController } from '../auth/access-controller.ts'
import type { TokenService } from '../auth/token-service/token-service.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Registry } from '../registry/registry.ts'
import { createProxyTrust } from './client-address.ts'
import type { EventSink } from '../notifications/event.ts'
import { createEndpoints, readingAlone } from './endpoints.ts'
import { createRequestEvents } from './events.ts'
import { accessLog, type AccessLog } from './middleware/access-log.ts'
import { authorizeAndHandle } from './middleware/authorize.ts'
import { measured } from './middleware/measured.ts'
import { refuseUnhealthy } from './middleware/refuse-unhealthy.ts'
import { refuseUnservable } from './middleware/refuse-unservable.ts'
import { renderErrors } from './middleware/render-errors.ts'
import { requestContext } from './middleware/request-context.ts'
import { requestLog } from './middleware/request-log.ts'
import { standardHeaders } from './middleware/standard-headers.ts'
import { unreadBody } from './middleware/unread-body.ts'
import { traceRequests } from './middleware/trace-requests.ts'
import type { Context, RequestState } from './context.ts'
import { addressDirectly, createRouter, type Address, type Router } from './router.ts'
import { withTokenRoutes } from './token/routes.ts'
import { createUrlBuilder } from './url-builder.ts'

export interface AppDeps {
  readonly registry: Registry
  readonly access: AccessController
  /** Served at its own path; undefined: there is none. */
  readonly tokenService?: TokenService | undefined
  /** Whose repository a name means; default: names are what they are. */
  readonly address?: Address | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  /** Hears of what requests do; `includeReferences`: with what manifests refer to. Default: nobody does. */
  readonly events?: { readonly sink: EventSink; readonly includeReferences: boolean } | undefined
  /** undefined: there is none. */
  readonly accessLog?: AccessLog | undefined
  /** While it says so nothing is served; default: never. */
  readonly isFailing?: (() => boolean) | undefined
  /** While it says so no endpoint that writes exists; default: as the settings say. */
  readonly isReadOnly?: (() => boolean) | undefined
  readonly settings: AppSettings
}

export interface AppSettings {
  /** Where clients reach us from outside: replaces what the request says, prefix included. */
  readonly host: URL | undefined
  /** Path below which the API is mounted; empty or `/` for none. */
  readonly prefix: string
  /** Location headers without scheme and host. */
  readonly relativeUrls: boolean
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** Signs upload states; replicas must share it. */
  readonly secret: string | Buffer
  /** No endpoint that writes exists. */
  readonly readOnly: boolean
  readonly maxTags: number
  readonly maxCatalogEntries: number
  /** See client-address.ts; default: undefined. */
  readonly trustedProxies?: readonly string[] | undefined
  /** Whether it listens on a unix socket; default: not so. */
  readonly isUnixSocket?: boolean
}

export function createApp(deps: AppDeps): Koa {
  const { access, address = addressDirectly, clock, logger, metrics, registry, settings, tokenService } = deps
  const prefix = settings.prefix.replace(/^\/*/, '/').replace(/\/*$/, '')
  const { isUnixSocket, trustedProxies } = settings
  const trust = createProxyTrust({ trustedProxies, isUnixSocket })
  const urls = createUrlBuilder({ ...settings, prefix, believes: trust.believes })
  const events =
    deps.events &&
    createRequestEvents({
      ...deps.events,
      urls: createUrlBuilder({ ...settings, prefix, relativeUrls: false, believes: trust.believes }),
    })
  const endpoints = createEndpoints({ registry, urls, access, address, events, logger, settings })
  const { isReadOnly = () => settings.readOnly } = deps
  const ownRouter = switching(isReadOnly, {
    off: createRouter(endpoints, prefix, address),
    on: createRouter(readingAlone(endpoints), prefix, address),
  })
  const router =
    tokenService === undefined ? ownRouter : withTokenRoutes(ownRouter, { tokenService, metrics, address })

  const app = new Koa<RequestState>()
  app.use(requestContext({ router, trust, clock }))
  if (deps.accessLog !== undefined) app.use(accessLog(deps.accessLog, clock))
  app.use(requestLog({ logger, clock }))
  app.use(measured({ metrics, clock }))
  app.use(traceRequests)
  app.use(unreadBody)
  app.use(renderErrors({ logger }))
  app.use(standardHeaders(settings.headers))
  if (deps.isFailing !== undefined) app.use(refuseUnhealthy(deps.isFailing))
  app.use(refuseUnservable)
  app.use(authorizeAndHandle(access))
  app.on('error', (err: unknown, ctx?: Context) => logBrokenAnswer(logger, err, ctx))
  return app
}

/** Asks one of two routers, as the switch stands when a request comes. */
function switching(isOn: () => boolean, { on, off }: { readonly on: Router; readonly off: Router }): Router {
  return { match: (...request) => (isOn() ? on : off).match(...request) }
}

/**
 * A body broke off while it was being sent. Koa pipes it with `pipeline()`, which has destroyed the connection by now:
 * the client sees a reset, never an answer that looks complete. A client that left is not a failure.
 */
function logBrokenAnswer(logger: Logger, err: unknown, ctx?: Context): void {
  const fields = { 'http.request.id': ctx?.state.id, err }
  if (isDisconnect(err)) logger.debug(fields, 'client left before the answer was complete')
  else logger.error(fields, 'cannot complete answer')
}

function isDisconnect(err: unknown): boolean {
  const { code, name } = err as { readonly code?: unknown; readonly name?: unknown }
  if (name === 'AbortError') return true
  // HPE_…: the parser of what a client sends, which met its end too early.
  return typeof code === 'string' && (disconnectCodes.has(code) || code.startsWith('HPE_'))
}

const disconnectCodes: ReadonlySet<string> = new Set([
  'ABORT_ERR',
  'ECANCELED',
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_PREMATURE_CLOSE',
])
