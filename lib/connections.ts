// The connections of one server and the requests on them, so that a stop can tell idle from busy. Node's own
// closeIdleConnections() also cuts answers that are handed over but not yet sent, hence this book-keeping.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from './clock.ts'

export class Connections {
  /** Open connections and how many requests each is in the middle of. */
  readonly #requests = new Map<Duplex, number>()
  #draining = false
  #settle: (() => void) | undefined

  /** Watches a server; for TLS, connections count from the end of their handshake. */
  watch(server: Server, isTls: boolean): void {
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => this.#opened(socket))
    server.on('request', (req, res) => this.#begun(req, res))
  }

  isBusy(socket: Duplex): boolean {
    return (this.#requests.get(socket) ?? 0) > 0
  }

  /** Ends idle connections, and each other one after its answer; resolves when none is left or after `graceMs`. */
  async drain(graceMs: number, clock: Clock): Promise<void> {
    this.#draining = true
    for (const [socket, requests] of this.#requests) if (requests === 0) socket.destroy()
    if (this.#requests.size === 0) return
    const settled = new AbortController()
    const empty = new Promise<void>(resolve => (this.#settle = resolve))
    const tooLong = clock.sleep(graceMs, { signal: settled.signal }).catch(() => undefined)
    await Promise.race([empty, tooLong])
    settled.abort()
  }

  destroy(): void {
    for (const socket of this.#requests.keys()) socket.destroy()
  }

  #opened(socket: Socket): void {
    this.#requests.set(socket, 0)
    socket.once('close', () => {
      this.#requests.delete(socket)
      if (this.#requests.size === 0) this.#settle?.()
    })
    // A connection that was accepted before the stop but seen after it.
    if (this.#draining) socket.destroy()
  }

  #begun({ socket }: IncomingMessage, res: ServerResponse): void {
    this.#count(socket, +1)
    if (this.#draining) res.setHeader('Connection', 'close')
    res.once('close', () => {
      this.#count(socket, -1)
      if (this.#draining && !this.isBusy(socket)) socket.end()
    })
  }

  #count(socket: Socket, change: 1 | -1): void {
    const requests = this.#requests.get(socket)
    if (requests !== undefined) this.#requests.set(socket, requests + change)
  }
}
