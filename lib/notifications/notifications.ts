// Webhooks, put together: endpoints with their queues, and the sink that the rest of the program publishes to.
import { EnvHttpProxyAgent } from 'undici'
import type { Clock } from '../clock.ts'
import type { EndpointConfig, NotificationsConfig } from '../config/notifications.ts'
import { redactUrl, type Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Endpoint } from './endpoint.ts'
import { formatEnvelope, type EventSink, type EventSource } from './event.ts'
import { EventQueue } from './event-queue.ts'
import { Spool } from './spool.ts'

export interface NotificationsDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly version: string
  /** For HTTP_PROXY and its like. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly source: EventSource
  /** Where events wait; undefined: in memory. */
  readonly directory: string | undefined
}

export interface Notifications {
  /** Undefined where nobody wants to hear of anything. */
  readonly sink: EventSink | undefined
  /** Delivers what can be delivered within `graceMs`, and keeps the rest for the next start. */
  close(graceMs: number): Promise<void>
}

/** Never rejects: without its directory it works in memory. */
export async function startNotifications(
  config: NotificationsConfig,
  deps: NotificationsDeps,
): Promise<Notifications> {
  const { clock, logger, metrics, source } = deps
  const wanted = config.endpoints.filter(endpoint => announce(endpoint, logger))
  if (wanted.length === 0) return { sink: undefined, close: () => Promise.resolve() }
  const spool = await openSpool(deps)
  const dispatcher = createDispatcher(deps.env)
  const endpoints = new Map<string, Endpoint>()
  for (const endpoint of wanted) {
    const folder = Spool.folderOf(endpoint.name, endpoints)
    const queue = new EventQueue({
      name: endpoint.name,
      directory: spool && `${spool.directory}/${folder}`,
      maxEvents: config.queue.maxevents,
      clock,
      logger,
      onDropped: count => metrics.notificationsDropped.inc({ endpoint: endpoint.name }, count),
    })
    endpoints.set(
      folder,
      new Endpoint(endpoint, { queue, dispatcher, userAgent: `entrepot/${deps.version}`, ...deps }),
    )
  }
  const all = [...endpoints.values()]
  prepareMetrics(metrics, all)
  await spool?.start(new Map([...endpoints].map(([folder, { queue }]) => [folder, queue])))
  for (const endpoint of all) endpoint.start()
  return {
    sink: {
      publish(event) {
        const interested = all.filter(endpoint => endpoint.wants(event))
        if (interested.length === 0) return
        const envelope = formatEnvelope(event, source, clock.now())
        for (const endpoint of interested) endpoint.enqueue(envelope)
      },
    },
    async close(graceMs) {
      await spool?.stop()
      await Promise.all(all.map(endpoint => endpoint.drain(graceMs)))
      for (const { name, queue } of all) {
        const waiting = queue.length
        const lost = await queue.close()
        if (lost > 0)
          logger.error({ endpoint: name, events: lost }, 'notifications are lost, they were not on disk')
        else if (waiting > 0)
          logger.info({ endpoint: name, events: waiting }, 'notifications wait for the next start')
      }
      await spool?.close()
      await dispatcher.destroy()
    },
  }
}

/** distribution's lines; values of headers are credentials more often than not. */
function announce({ name, disabled, url, timeoutMs, headers }: EndpointConfig, logger: Logger): boolean {
  if (disabled) {
    logger.info(`endpoint ${name} disabled, skipping`)
    return false
  }
  const shown = Object.keys(headers).map(header => `${header}:[redacted]`)
  logger.info(
    `configuring endpoint ${name} (${redactUrl(url)}), timeout=${formatDuration(timeoutMs)}, headers=map[${shown.join(' ')}]`,
  )
  return true
}

function formatDuration(ms: number): string {
  return ms < 1000 ? `${ms}ms` : `${ms / 1000}s`
}

async function openSpool({ directory, ...deps }: NotificationsDeps): Promise<Spool | undefined> {
  if (directory === undefined) return undefined
  try {
    return await Spool.open(directory, deps)
  } catch (err) {
    deps.logger.error({ err, directory }, 'cannot write notifications to disk, they wait in memory')
    return undefined
  }
}

function createDispatcher(env: NotificationsDeps['env']): EnvHttpProxyAgent {
  const of = (name: string) => env[name.toLowerCase()] ?? env[name] ?? ''
  return new EnvHttpProxyAgent({
    httpProxy: of('HTTP_PROXY'),
    httpsProxy: of('HTTPS_PROXY'),
    noProxy: of('NO_PROXY'),
  })
}

/** Endpoints are shown before anything happens, and what waits when it is asked for. */
function prepareMetrics(metrics: Metrics, endpoints: readonly Endpoint[]): void {
  for (const { name: endpoint } of endpoints) {
    for (const type of ['Events', 'Successes', 'Failures', 'Errors']) {
      metrics.notificationEvents.inc({ endpoint, type }, 0)
    }
    metrics.notificationsDropped.inc({ endpoint }, 0)
  }
  metrics.whenRead(() => {
    metrics.notificationsPending.reset()
    for (const { name, queue } of endpoints)
      metrics.notificationsPending.inc({ endpoint: name }, queue.length)
  })
}
