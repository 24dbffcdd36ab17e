// Where the commands that look into a cache find it: at a running server, which the configuration says the address of, or
// in the store itself, offline.
import { parseAddress } from '../config/address.ts'
import { ConfigError } from '../config/config-error.ts'
import type { Config } from '../config/config.ts'
import type { CacheAdmin } from '../http/admin/cache-admin.ts'
import { describeError } from '../log.ts'
import { createAdminClient, type ClosableCacheAdmin } from './admin-client.ts'
import { readConfiguration } from './configuration.ts'
import type { Io } from './io.ts'
import { printable } from './table.ts'

/** What the options say. */
export interface Where {
  /** A configuration file. */
  readonly config?: string | undefined
  /** URL of a debug listener. */
  readonly server?: string | undefined
  readonly offline?: boolean | undefined
}

/** The cache in the store of a configuration, without a server: what changes it throws AdminError NOT_SUPPORTED. */
export type OpenOffline = (config: Config) => Promise<ClosableCacheAdmin>

export interface CacheCommand {
  readonly io: Io
  readonly where: Where
  readonly openOffline: OpenOffline
}

/** Runs `command` with the cache that is meant; what goes wrong is told, and ends with 1. Settles with the exit code. */
export async function withCache(
  { io, where, openOffline }: CacheCommand,
  command: (cache: CacheAdmin) => Promise<number>,
): Promise<number> {
  try {
    const cache = await findCache(where, io, openOffline)
    try {
      return await command(cache)
    } finally {
      await cache.close()
    }
  } catch (err) {
    const prefix = err instanceof ConfigError ? 'configuration error' : 'registry'
    const lines = describeError(err).split('\n').map(printable)
    io.stderr.write(`${prefix}: ${lines.join('\n')}\n`)
    return 1
  }
}

async function findCache(where: Where, io: Io, openOffline: OpenOffline): Promise<ClosableCacheAdmin> {
  if (where.server !== undefined) {
    if (where.offline === true) throw new Error('Cannot work both offline and with --server')
    return createAdminClient(parseServer(where.server))
  }
  const { config } = await readConfiguration(where.config, io)
  if (config.proxy === undefined)
    throw new Error('There is no cache: the configuration has no proxy section, so that nothing is mirrored')
  return where.offline === true ? openOffline(config) : createAdminClient(debugUrl(config))
}

export function parseServer(text: string): URL {
  const url = text.includes('://') ? text : `http://${text}`
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return new URL(url)
  throw new Error(`Cannot use --server "${text}": expected a URL such as http://127.0.0.1:5001`)
}

/** Where the server of a configuration listens for operators, as seen from its own machine. */
export function debugUrl({ http }: Config): URL {
  const { addr } = http.debug
  const address = addr === undefined ? undefined : parseAddress(addr)
  if (address === undefined) {
    throw new Error('Cannot find the server: http.debug.addr is not configured; set it, or give --server URL')
  }
  if (address.port === 0) {
    throw new Error('Cannot find the server: http.debug.addr is any free port; give --server URL')
  }
  return new URL(`http://${hostFor(address.host)}:${address.port}`)
}

function hostFor(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
