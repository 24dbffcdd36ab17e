// What can be seen of a registry on its own machine: its configuration, the room in its store, its debug listener.
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { request } from 'undici'
import { parseAddress } from '../../config/address.ts'
import type { Config } from '../../config/config.ts'
import { describeError } from '../../log.ts'
import { formatBytes } from '../quantities.ts'
import { fail, ok, warn, type Finding } from './check.ts'

const lowRatio = 0.1

/** Where clients on this machine find it; undefined where that cannot be said. */
export function urlOf({ http }: Config): URL | undefined {
  if (http.host !== undefined) return http.host
  const address = http.net === 'tcp' ? parseAddress(http.addr) : undefined
  if (address === undefined || address.port === 0) return undefined
  return new URL(
    `${http.tls === undefined ? 'http' : 'https'}://${loopbackFor(address.host)}:${address.port}`,
  )
}

export async function* checkServer(config: Config): AsyncGenerator<Finding> {
  const { driver } = config.storage
  if (driver.name === 'filesystem') {
    yield await checkRoom((driver.parameters as { readonly rootdirectory: string }).rootdirectory)
  }
  const { addr } = config.http.debug
  const address = addr === undefined ? undefined : parseAddress(addr)
  if (address === undefined || address.port === 0)
    yield warn(
      'health',
      'there is no debug listener',
      'Set http.debug.addr to see health, metrics and the cache.',
    )
  else yield await checkHealth(`http://${loopbackFor(address.host)}:${address.port}/debug/health`)
}

async function checkRoom(folder: string): Promise<Finding> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder).catch(() => statfs(dirname(folder)))
    const found = `${formatBytes(bavail * bsize)} of ${formatBytes(blocks * bsize)} free at ${folder}`
    if (bavail / blocks >= lowRatio) return ok('disk', found)
    return warn('disk', found, 'Lower proxy.cache.maxsize, collect garbage, or give the store a larger disk.')
  } catch (err) {
    return fail(
      'disk',
      `${folder} cannot be looked at: ${describeError(err)}`,
      'Make the directory, or mount it.',
    )
  }
}

async function checkHealth(url: string): Promise<Finding> {
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(10_000) })
    await body.dump()
    if (statusCode === 200) return ok('health', `${url} answers 200`)
    return fail(
      'health',
      `${url} answers ${statusCode}`,
      'Its answer and the log of the registry say which part is ill.',
    )
  } catch (err) {
    return fail(
      'health',
      `${url} does not answer: ${describeError(err)}`,
      'Start the registry with this configuration.',
    )
  }
}

function loopbackFor(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
