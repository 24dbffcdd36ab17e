// A server whose port stays its own while it refuses connections.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Listener {
  /** The origin, without a slash at its end. It stays the same. */
  readonly url: string
  /** Closes the port and all connections. The promise is for the port. */
  refuse(): Promise<void>
  /** Listens again. Rejects when somebody else has taken the port. */
  accept(): Promise<void>
}

export interface Address {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

/** Begins to listen. An answer that fails closes its connection. */
export async function listen(
  address: Address,
  answer: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
  connected: () => void = () => {},
): Promise<Listener> {
  const server = createServer((req, res) => {
    answer(req, res).catch(() => req.socket.destroy())
  })
  // Longer than a client keeps a connection for its next request, so that only faults close one.
  server.keepAliveTimeout = 600_000
  server.on('connection', connected)
  await once(server.listen(address.port, address.host), 'listening')
  const { port } = server.address() as AddressInfo
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return {
    url: `http://${host}:${port}`,
    async refuse() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
    async accept() {
      if (!server.listening) await once(server.listen(port, address.host), 'listening')
    },
  }
}
