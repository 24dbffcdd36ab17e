// `registry serve`: configuration, logger, server, and then waiting for a signal.
import { ConfigError } from '../config/config-error.ts'
import type { LoadedConfig } from '../config/load.ts'
import { createLogger, describeError, type Logger } from '../log.ts'
import { startServer, type RunningServer } from '../server.ts'
import { version } from '../version.ts'
import { readConfiguration } from './configuration.ts'
import type { Io, StopSignal } from './io.ts'

const signalExitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/**
 * Serves until a signal: 0 after a clean stop, 1 where the server cannot be configured, started or stopped. A second
 * signal does not wait for the stop; the caller must then end the process, because requests may still be going on.
 */
export async function serve(path: string | undefined, io: Io): Promise<number> {
  const loaded = await load(path, io)
  if (loaded === undefined) return 1
  const { config, warnings } = loaded
  const { level, formatter, fields } = config.log
  const logger = createLogger({ level, formatter, fields, write: io.writeLog })
  for (const warning of warnings) logger.warn(warning)

  const signals = listenForSignals(io)
  try {
    const server = await startServer({ config, logger, version, env: io.env })
    const signal = await signals.next()
    logger.info(`received ${signal}`)
    return await Promise.race([stop(server, logger), signals.next().then(second => signalExitCodes[second])])
  } catch (err) {
    io.stderr.write(`registry: ${describeError(err)}\n`)
    logger.debug({ err }, 'cannot start')
    return 1
  } finally {
    signals.close()
  }
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
