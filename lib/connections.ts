// The connections of one server and the requests on them, so that a stop can tell idle from busy. Node's own
// closeIdleConnections() also cuts answers that are handed over but not yet sent, hence this book-keeping.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from './clock.ts'

/** A connection of HTTP/1.1, or all that happens on one of HTTP/2. */
type Peer = Duplex | ServerHttp2Session

export class Connections {
  /** Open connections and the answers to the requests that each is in the middle of. */
  readonly #answers = new Map<Peer, Set<ServerResponse>>()
  /** What may have no answers yet, or none any more: handshakes, and connections whose client does not hang up. */
  readonly #sockets = new Set<Socket>()
  #draining = false
  #settle: (() => void) | undefined

  /** A connection of which nobody knows yet what it will be; it does not hold up drain(). */
  accepted(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** A connection of HTTP/1.1; for TLS, after its handshake. */
  opened(socket: Socket): void {
    this.#add(socket)
    // A connection that was accepted before the stop but seen after it.
    if (this.#draining) socket.destroy()
  }

  openedSession(session: ServerHttp2Session): void {
    this.#add(session)
    if (this.#draining) session.close()
  }

  begun(req: IncomingMessage, res: ServerResponse): void {
    const peer = peerOf(req)
    this.#answers.get(peer)?.add(res)
    if (this.#draining) res.setHeader('Connection', 'close')
    res.once('close', () => {
      this.#answers.get(peer)?.delete(res)
      // A session that was asked to close ends by itself.
      if (this.#draining && !isSession(peer) && !this.isBusy(peer)) peer.end()
    })
  }

  /** Whether it was opened and has not closed. */
  has(peer: Peer): boolean {
    return this.#answers.has(peer)
  }

  isBusy(peer: Peer): boolean {
    return (this.#answers.get(peer)?.size ?? 0) > 0
  }

  /** Whether anything of an answer that is not complete may have been sent already. */
  isAnswering(socket: Duplex): boolean {
    return [...(this.#answers.get(socket) ?? [])].some(res => res.headersSent)
  }

  /** Ends idle connections, and each other one after its answer; resolves when none is left or after `graceMs`. */
  async drain(graceMs: number, clock: Clock): Promise<void> {
    this.#draining = true
    for (const [peer, answers] of this.#answers) {
      if (isSession(peer)) peer.close()
      else if (answers.size === 0) peer.destroy()
    }
    if (this.#answers.size === 0) return
    const settled = new AbortController()
    const empty = new Promise<void>(resolve => (this.#settle = resolve))
    const tooLong = clock.sleep(graceMs, { signal: settled.signal }).catch(() => undefined)
    await Promise.race([empty, tooLong])
    settled.abort()
  }

  destroy(): void {
    for (const peer of this.#answers.keys()) peer.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  #add(peer: Peer): void {
    this.#answers.set(peer, new Set())
    peer.once('close', () => {
      this.#answers.delete(peer)
      if (this.#answers.size === 0) this.#settle?.()
    })
  }
}

function peerOf(req: IncomingMessage): Peer {
  const { stream } = req as { readonly stream?: ServerHttp2Stream }
  return (stream?.session as ServerHttp2Session | undefined) ?? req.socket
}

function isSession(peer: Peer): peer is ServerHttp2Session {
  return 'goaway' in peer
}
