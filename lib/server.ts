// A running registry: builds the services, listens, and stops in order. Signals and exit codes are cli/serve.ts's.
import { systemClock, type Clock } from './clock.ts'
import type { Config } from './config/config.ts'
import { listen, type Listener } from './listener.ts'
import type { Logger } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createServices, type Services } from './services.ts'

export interface ServerOptions {
  readonly config: Config
  readonly logger: Logger
  readonly version: string
  /** Default: the system's. */
  readonly clock?: Clock
  /** Of a socket that the service manager has opened for us: used instead of `http.addr`. */
  readonly listenFd?: number | undefined
  /** See services.ts. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** See services.ts. */
  readonly writeAccessLog?: ((line: string) => void) | undefined
}

export interface RunningServer {
  readonly addresses: {
    readonly main: string
    readonly debug?: string
    /** The main address as a URL for clients on this machine. */
    readonly url: string
  }
  /** Ends gracefully, within http.draintimeout. Idempotent: later calls wait for the first. */
  stop(): Promise<void>
}

const defaultDrainMs = 10_000

/** Rejects, with nothing left open, if a part cannot be started. */
export async function startServer({
  config,
  logger,
  version,
  clock = systemClock,
  env,
  listenFd,
  writeAccessLog,
}: ServerOptions): Promise<RunningServer> {
  const metrics = createMetrics()
  metrics.collectProcess()
  const services = await createServices(config, { logger, clock, version, metrics, env, writeAccessLog })
  let debug: Listener | undefined
  let main: Listener
  try {
    debug = await listenForOperators(config, services, logger)
    main = await listenForClients(config, services, { clock, logger, metrics, listenFd })
  } catch (err) {
    debug?.close()
    await services.close(0)
    throw err
  }

  async function stop(): Promise<void> {
    const graceMs = config.http.draintimeoutMs === 0 ? defaultDrainMs : config.http.draintimeoutMs
    logger.info(`stopping server gracefully. Draining connections for ${graceMs / 1000}s`)
    const deadlineMs = clock.now() + graceMs
    services.drain()
    await main.drain(graceMs, clock)
    await services.close(Math.max(0, deadlineMs - clock.now()))
    main.close()
    debug?.close()
  }

  let stopping: Promise<void> | undefined
  return {
    addresses: { main: main.address, url: main.url, ...(debug !== undefined && { debug: debug.address }) },
    stop: () => (stopping ??= stop()),
  }
}

async function listenForOperators(
  { http }: Config,
  { debugApp }: Services,
  logger: Logger,
): Promise<Listener | undefined> {
  const { addr, prometheus } = http.debug
  if (addr === undefined) return undefined
  const listener = await listen(debugApp.callback(), { addr, net: 'tcp', tls: undefined })
  if (prometheus.enabled) logger.info(`providing prometheus metrics on ${prometheus.path}`)
  logger.info(`debug server listening ${addr}`)
  return listener
}

async function listenForClients(
  { http }: Config,
  { app }: Services,
  { clock, logger, metrics, listenFd }: ListeningDeps,
): Promise<Listener> {
  const listener = await listen(
    app.callback(),
    { ...http, listenFd },
    {
      clock,
      logger,
      onCertificateExpiry: expiresAtMs => metrics.certificateExpiry.set(expiresAtMs / 1000),
    },
  )
  logger.info(`listening on ${listener.address}${http.tls === undefined ? '' : ', tls'}`)
  return listener
}

type ListeningDeps = Pick<ServerOptions, 'listenFd' | 'logger'> & {
  readonly clock: Clock
  readonly metrics: Metrics
}
