// An HTTP proxy on loopback: passes requests on, opens tunnels, and remembers what it was asked. Every name leads to
// loopback, as it is the proxy that looks names up.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface FakeProxyOptions {
  /** `user:password`; undefined lets anybody through. */
  readonly credentials?: string
  /** Tunnels are asked for and never answered. */
  readonly isSilent?: boolean
}

export async function startFakeProxy(t: Test, { credentials, isSilent = false }: FakeProxyOptions = {}) {
  const asked: string[] = []
  const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`
  const server = createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`)
    if (expected !== undefined && req.headers['proxy-authorization'] !== expected) {
      return void res.writeHead(407).end()
    }
    const { port, pathname, search } = new URL(req.url ?? '')
    const { 'proxy-authorization': _, ...headers } = req.headers
    const passed = request({ host: '127.0.0.1', port, path: pathname + search, method: req.method, headers })
    passed.on('response', answer => {
      res.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(res)
    })
    passed.on('error', () => res.destroy())
    passed.end()
  })
  server.on('connect', (req, client: net.Socket) => {
    asked.push(`CONNECT ${req.url}`)
    client.on('error', () => client.destroy())
    if (isSilent) return
    if (expected !== undefined && req.headers['proxy-authorization'] !== expected) {
      return void client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    }
    const target = net.connect(Number(new URL(`http://${req.url}`).port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connected\r\n\r\n')
      target.pipe(client)
      client.pipe(target)
    })
    target.on('error', () => client.destroy())
    client.on('close', () => target.destroy())
    t.teardown(() => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return { url, asked }
}
