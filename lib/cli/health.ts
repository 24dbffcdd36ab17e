// `registry health`: whether a running server is healthy, as its debug listener says; for containers, which have no curl.
import { request } from 'undici'
import { ConfigError } from '../config/config-error.ts'
import { describeError } from '../log.ts'
import type { Io } from './io.ts'

const timeoutMs = 5000
const maxAnswerBytes = 64 * 1024

/** The exit code: 0 if the server is healthy, 1 if it is not or does not answer. */
export async function health(
  where: { readonly config: string | undefined; readonly server: string | undefined },
  io: Io,
): Promise<number> {
  try {
    const url = new URL('/debug/health', await debugListener(where, io))
    const answer = await request(url, { signal: AbortSignal.timeout(timeoutMs) })
    let text = ''
    for await (const chunk of answer.body.setEncoding('utf8')) {
      text += chunk as string
      if (text.length > maxAnswerBytes) throw new Error(`Cannot understand ${url.href}: it says too much`)
    }
    io.stdout.write(`${answer.statusCode === 200 ? 'healthy' : `not healthy: ${text.trim()}`}\n`)
    return answer.statusCode === 200 ? 0 : 1
  } catch (err) {
    const prefix = err instanceof ConfigError ? 'configuration error' : 'registry'
    io.stderr.write(`${prefix}: ${describeError(err)}\n`)
    return 1
  }
}

async function debugListener(
  { config: path, server }: { readonly config: string | undefined; readonly server: string | undefined },
  io: Io,
): Promise<URL> {
  if (server !== undefined) return new URL(server.includes('://') ? server : `http://${server}`)
  const { readConfiguration } = await import('./configuration.ts')
  const { debugUrl } = await import('./find-cache.ts')
  return debugUrl((await readConfiguration(path, io)).config)
}
