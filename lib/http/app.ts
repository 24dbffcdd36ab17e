// The HTTP application: the onion that every request travels through, on one screen. It does not listen and has no
// globals, so that two of them fit in one process.
import Koa from 'koa'
import type { AccessController } from '../auth/access-controller.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Registry } from '../registry/registry.ts'
import { createEndpoints } from './endpoints.ts'
import { accessLog } from './middleware/access-log.ts'
import { authorizeAndHandle } from './middleware/authorize.ts'
import { measured } from './middleware/measured.ts'
import { refuseUnservable } from './middleware/refuse-unservable.ts'
import { renderErrors } from './middleware/render-errors.ts'
import { requestContext } from './middleware/request-context.ts'
import { standardHeaders } from './middleware/standard-headers.ts'
import { unreadBody } from './middleware/unread-body.ts'
import type { Context, RequestState } from './context.ts'
import { addressDirectly, createRouter, type Address } from './router.ts'
import { createUrlBuilder } from './url-builder.ts'

export interface AppDeps {
  readonly registry: Registry
  readonly access: AccessController
  /** Whose repository a name means; default: names are what they are. */
  readonly address?: Address | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
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
  readonly accessLog: boolean
  readonly maxTags: number
  readonly maxCatalogEntries: number
}

export function createApp(deps: AppDeps): Koa {
  const { access, address = addressDirectly, clock, logger, metrics, registry, settings } = deps
  const prefix = settings.prefix.replace(/^\/*/, '/').replace(/\/*$/, '')
  const urls = createUrlBuilder({ ...settings, prefix })
  const endpoints = createEndpoints({ registry, urls, access, address, logger, settings })
  const router = createRouter(endpoints, prefix, address)

  const app = new Koa<RequestState>()
  app.use(requestContext({ router, clock }))
  if (settings.accessLog) app.use(accessLog({ logger, clock }))
  app.use(measured({ metrics, clock }))
  app.use(unreadBody)
  app.use(renderErrors({ logger }))
  app.use(standardHeaders(settings.headers))
  app.use(refuseUnservable)
  app.use(authorizeAndHandle(access))
  app.on('error', (err: unknown, ctx?: Context) => logBrokenAnswer(logger, err, ctx))
  return app
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
