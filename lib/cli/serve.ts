// `registry serve`: configuration, logger, server, and then waiting for a signal.
import { randomUUID } from 'node:crypto'
import { systemClock } from '../clock.ts'
import { ConfigError } from '../config/config-error.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { LogConfig } from '../config/config.ts'
import { createMailHook, type LogHook } from '../log-mail.ts'
import { openOutput } from '../log-output.ts'
import { createLogger, describeError, type Logger } from '../log.ts'
import { startServer, type RunningServer } from '../server.ts'
import { startTracing, type Tracing } from '../tracing/tracing.ts'
import { version } from '../version.ts'
import { readConfiguration } from './configuration.ts'
import { inheritedSocket } from './inherited-socket.ts'
import type { Io, StopSignal } from './io.ts'

/** How long traces and mails are waited for at the end. */
const flushMs = 5000
const signalExitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/**
 * Serves until a signal: 0 after a clean stop, 1 where the server cannot be configured, started or stopped. A second
 * signal does not wait for the stop; the caller must then end the process, because requests may still be going on.
 */
export async function serve(path: string | undefined, io: Io): Promise<number> {
  const loaded = await load(path, io)
  if (loaded === undefined) return 1
  const { config, warnings } = loaded
  const instanceId = randomUUID()
  const { logger, hooks } = openLog(config.log, instanceId, io)
  for (const warning of warnings) logger.warn(warning)

  const signals = listenForSignals(io)
  const writeAccessLog = config.log.accesslog.disabled ? undefined : (io.writeAccessLog ?? openOutput(1))
  let tracing: Tracing | undefined
  const handOver = (graceMs: number) =>
    Promise.all([tracing?.close(graceMs), ...hooks.map(hook => hook.close(graceMs))])
  try {
    tracing = await startTracing({ env: io.env, version, instanceId, clock: systemClock, logger })
    const server = await startServer({
      config,
      logger,
      version,
      env: io.env,
      listenFd: inheritedSocket(io.env, process.pid),
      writeAccessLog,
    })
    const signal = await signals.next()
    logger.info(`received ${signal}`)
    const ended = stop(server, logger).then(async code => {
      await handOver(flushMs)
      return code
    })
    return await Promise.race([ended, signals.next().then(second => signalExitCodes[second])])
  } catch (err) {
    io.stderr.write(`registry: ${describeError(err)}\n`)
    logger.debug({ err }, 'cannot start')
    await handOver(flushMs)
    return 1
  } finally {
    signals.close()
  }
}

/** The log and who else gets lines of it. */
function openLog(log: LogConfig, instanceId: string, io: Io): { logger: Logger; hooks: readonly LogHook[] } {
  const { level, formatter, reportcaller: reportCaller } = log
  const options = {
    level,
    formatter,
    fields: { 'instance.id': instanceId, version, ...log.fields },
    reportCaller,
    write: io.writeLog ?? openOutput(2),
  }
  const silently = createLogger(options)
  const onFailure = (err: unknown) => silently.warn({ problem: describeError(err) }, 'cannot mail log lines')
  const hooks = log.hooks.map(hook => createMailHook(hook, { clock: systemClock, onFailure }))
  return { logger: hooks.length === 0 ? silently : createLogger({ ...options, hooks }), hooks }
}

async function load(path: string | undefined, io: Io): Promise<LoadedConfig | undefined> {
  try {
    return await readConfiguration(path, io)
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err
    io.stderr.write(`configuration error: ${err.message}\n`)
    return undefined
  }
}

async function stop(server: RunningServer, logger: Logger): Promise<number> {
  try {
    await server.stop()
    return 0
  } catch (err) {
    logger.error({ err }, 'cannot stop cleanly')
    return 1
  }
}

/** Signals one at a time, none of them lost while nobody waits. */
function listenForSignals(io: Io): { next(): Promise<StopSignal>; close(): void } {
  const arrived: StopSignal[] = []
  let wake: ((signal: StopSignal) => void) | undefined
  const close = io.onSignal(signal => {
    if (wake === undefined) arrived.push(signal)
    else wake(signal)
    wake = undefined
  })
  return {
    next: () => {
      const signal = arrived.shift()
      return signal === undefined ? new Promise(resolve => (wake = resolve)) : Promise.resolve(signal)
    },
    close,
  }
}
