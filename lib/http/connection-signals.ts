// One AbortSignal for each connection, aborted when it closes, for all the requests on it: making a signal for every
// request would cost as much as finding a manifest. A request that has been answered holds nothing that still listens.
// Many requests of HTTP/2 share a connection, but the socket that each of them shows is its own and closes with it.
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'

export class ConnectionSignals {
  readonly #signals = new WeakMap<Socket, AbortSignal>()

  of(socket: Socket): AbortSignal {
    const known = this.#signals.get(socket)
    if (known !== undefined) return known
    const closing = new AbortController()
    // A large answer has many listeners at a time; a leak would show in a heap, not in their number.
    setMaxListeners(0, closing.signal)
    if (socket.destroyed) closing.abort()
    else socket.once('close', () => closing.abort())
    this.#signals.set(socket, closing.signal)
    return closing.signal
  }
}
