// A service on loopback that gives out tokens as a test says: it records what it was asked and answers with JSON.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

export interface AskedOfService {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface ServiceAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** A string is sent as it is. */
  readonly body: unknown
}

/** `answer` is called for each request; undefined resets the connection. */
export async function startService(
  t: Test,
  answer: (asked: AskedOfService) => ServiceAnswer | undefined | Promise<ServiceAnswer | undefined>,
) {
  const asked: AskedOfService[] = []
  const server = createServer((req, res) => {
    const respond = async () => {
      const body = await text(req)
      const request = { method: req.method ?? '', path: req.url ?? '', headers: req.headers, body }
      asked.push(request)
      const given = await answer(request)
      if (given === undefined) return req.socket.destroy()
      res.writeHead(given.status ?? 200, { 'Content-Type': 'application/json', ...given.headers })
      return res.end(typeof given.body === 'string' ? given.body : JSON.stringify(given.body))
    }
    respond().catch(() => res.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), asked }
}
