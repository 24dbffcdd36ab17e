// The real server over a directory of the test's own, with a `proxy` section, and what tests look at.
import http, { type IncomingHttpHeaders } from 'node:http'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { Clock } from '../../lib/clock.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { createLogger } from '../../lib/log.ts'
import { startServer } from '../../lib/server.ts'
import { driverSections } from './driver-sections.ts'

export interface MirrorServerOptions {
  readonly root?: string
  readonly clock?: Clock
  /** More top-level keys, as YAML. */
  readonly more?: string
}

/** `proxy` is the section as YAML in one line, or indented lines. The server ends with the test. */
export async function startMirrorServer(t: Test, proxy: string, options: MirrorServerOptions = {}) {
  const { root = t.testdir({}), clock, more = '' } = options
  const text = `
version: 0.1
log: {level: debug}
storage: {filesystem: {rootdirectory: "${root}"}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0", debug: {addr: "127.0.0.1:0", prometheus: {enabled: true}}}
proxy: ${proxy}
${more}
`
  const { config } = loadConfig({ text, env: {}, drivers: driverSections })
  const log: string[] = []
  const write = (line: string) => void log.push(line)
  const server = await startServer({
    config,
    logger: createLogger({ level: 'debug', formatter: 'json', fields: {}, write }),
    version: 'test',
    ...(clock && { clock }),
  })
  t.teardown(() => server.stop())
  const { url } = server.addresses
  return {
    root,
    log,
    url,
    debugUrl: `http://${server.addresses.debug}`,
    stop: () => server.stop(),
    ask: (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      ask(url + path, headers, method),
    async metric(name: string): Promise<string | undefined> {
      const text = await (await fetch(`http://${server.addresses.debug}/metrics`)).text()
      return text.split('\n').find(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    },
  }
}

export type MirrorServer = Awaited<ReturnType<typeof startMirrorServer>>

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** One request on a connection of its own; unlike fetch() it sends any Host header. */
export async function ask(
  url: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> {
  const request = http.request(url, { headers, method, agent: false }).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) }
}
