// Connections of HTTP/2, which must not outlive their clients. Node keeps one that we have closed our half of until its
// client hangs up, and one whose client broke the rules for good: it reads no more of it, and so never sees it end.
import type { Http2Server, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import type { Connections } from '../connections.ts'

const goodbyeMs = 5000
/** Of a client that has requests under way, but was silent for long already. */
const pingMs = 60_000

export interface SessionsDeps {
  readonly connections: Connections
  readonly clock: Clock
  /** After so long without a frame in either direction it is looked whether the client is there. */
  readonly idleMs: number
}

/** Returns what makes a session of a connection. */
export function takeSessions(
  server: Http2Server,
  { connections, clock, idleMs }: SessionsDeps,
): (socket: Socket) => void {
  /** Comes again after each ping that is answered, so that a client is asked as long as it is silent. */
  function onSilence(session: ServerHttp2Session, socket: Socket): void {
    if (!connections.isBusy(session)) return session.close()
    const answered = new AbortController()
    destroyAfter(pingMs, socket, answered)
    session.ping(err => {
      if (err !== null) return
      answered.abort()
      session.setTimeout(idleMs)
    })
  }

  /** Whatever the session makes of it: that may wait for a write that never ends. */
  function destroyAfter(ms: number, socket: Socket, unless: AbortController): void {
    const gone = () => unless.abort()
    socket.once('close', gone)
    unless.signal.addEventListener('abort', () => socket.off('close', gone), { once: true })
    clock.sleep(ms, { signal: unless.signal }).then(
      () => socket.destroy(),
      () => {},
    )
  }

  return socket => {
    // HTTP/1.1 allows a client to close its half of a connection; in HTTP/2 whoever does that has left.
    socket.allowHalfOpen = false
    socket.once('finish', () => destroyAfter(goodbyeMs, socket, new AbortController()))
    const begun = (session: ServerHttp2Session) => {
      // Node's own timeout of a server comes once.
      session.setTimeout(idleMs)
      session.on('timeout', () => onSilence(session, socket))
      connections.openedSession(session)
    }
    server.once('session', begun)
    server.emit('connection', socket)
    server.off('session', begun)
  }
}
