// The connections of one server and the requests on them, so that a stop can tell idle from busy. Node's own
// closeIdleConnections() also cuts answers that are handed over but not yet sent, hence this book-keeping.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from './clock.ts'

export class Connections {
  /** Open connections and the answers to the requests that each is in the middle of. */
  readonly #answers = new Map<Duplex, Set<ServerResponse>>()
  #draining = false
  #settle: (() => void) | undefined

  /** Watches a server; for TLS, connections count from the end of their handshake. */
  watch(server: Server, isTls: boolean): void {
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => this.#opened(socket))
    server.on('request', (req, res) => this.#begun(req, res))
  }

  isBusy(socket: Duplex): boolean {
    return (this.#answers.get(socket)?.size ?? 0) > 0
  }

  /** Whether anything of an answer that is not complete may have been sent already. */
  isAnswering(socket: Duplex): boolean {
    return [...(this.#answers.get(socket) ?? [])].some(res => res.headersSent)
  }

  /** Ends idle connections, and each other one after its answer; resolves when none is left or after `graceMs`. */
  async drain(graceMs: number, clock: Clock): Promise<void> {
    this.#draining = true
    for (const [socket, answers] of this.#answers) if (answers.size === 0) socket.destroy()
    if (this.#answers.size === 0) return
    const settled = new AbortController()
    const empty = new Promise<void>(resolve => (this.#settle = resolve))
    const tooLong = clock.sleep(graceMs, { signal: settled.signal }).catch(() => undefined)
    await Promise.race([empty, tooLong])
    settled.abort()
  }

  destroy(): void {
    for (const socket of this.#answers.keys()) socket.destroy()
  }

  #opened(socket: Socket): void {
    this.#answers.set(socket, new Set())
    socket.once('close', () => {
      this.#answers.delete(socket)
      if (this.#answers.size === 0) this.#settle?.()
    })
    // A connection that was accepted before the stop but seen after it.
    if (this.#draining) socket.destroy()
  }

  #begun({ socket }: IncomingMessage, res: ServerResponse): void {
    this.#answers.get(socket)?.add(res)
    if (this.#draining) res.setHeader('Connection', 'close')
    res.once('close', () => {
      this.#answers.get(socket)?.delete(res)
      if (this.#draining && !this.isBusy(socket)) socket.end()
    })
  }
}
