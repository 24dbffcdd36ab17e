// One HTTP or HTTPS server with our limits: it listens, answers what is not even HTTP, and stops without cutting
// answers short. Requests themselves have no time limit, since a layer may take hours; only headers do. The server of
// HTTP/1.1 owns the port; connections that turn out to be something else are handed on.
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Http2Server } from 'node:http2'
import https from 'node:https'
import { Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Server as TlsServer, TLSSocket } from 'node:tls'
import { systemClock, type Clock } from './clock.ts'
import type { TlsConfig } from './config/config.ts'
import { Connections } from './connections.ts'
import { bind, whereabouts, type Place } from './listener/bind.ts'
import { beginsHttp, beginsHttp2, FirstBytes, hasClientHello } from './listener/first-bytes.ts'
import { createHttp2Server } from './listener/http2.ts'
import { refuse, refuseConnect, refusePlainHttp } from './listener/refusals.ts'
import { takeSessions } from './listener/sessions.ts'
import { createLogger, type Logger } from './log.ts'
import { openTls, type Tls } from './tls/tls.ts'

export interface ListenOptions extends Place {
  readonly tls: TlsConfig | undefined
  /** HTTP/2 over TLS; default: enabled. */
  readonly http2?: { readonly disabled: boolean }
  /** HTTP/2 without TLS; default: not enabled. */
  readonly h2c?: { readonly enabled: boolean }
}

export interface ListenDeps {
  /** Default: the system's. */
  readonly clock?: Clock
  /** Default: nobody is told. */
  readonly logger?: Logger
  /** Told when the certificate in use ends, epoch ms. */
  readonly onCertificateExpiry?: (expiresAtMs: number) => void
  /** How long a handshake of TLS may take; default: 10 s. */
  readonly handshakeTimeoutMs?: number
  /** How long a connection of HTTP/2 may be silent; default: 75 s. */
  readonly http2IdleMs?: number
}

export interface Listener {
  /** Where it really listens: `127.0.0.1:5000`, `[::]:5000` or a socket's path. */
  readonly address: string
  /** For clients on this machine. */
  readonly url: string
  /** Accepts nothing more and gives requests under way at most `graceMs`. */
  drain(graceMs: number, clock: Clock): Promise<void>
  /** Closes what is left. Idempotent. */
  close(): void
}

const options: https.ServerOptions = {
  // Large reads: fewer, bigger writes to the store per pushed layer.
  highWaterMark: 256 * 1024,
  requestTimeout: 0,
  headersTimeout: 60_000,
  keepAliveTimeout: 75_000,
  // A Range header alone may ask for 1,024 pieces of a large layer.
  maxHeaderSize: 64 * 1024,
  keepAlive: true,
  keepAliveInitialDelay: 180_000,
  // The application refuses a request without one, so that its answer has a body.
  requireHostHeader: false,
}
const silentLogger = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })
const defaultHandshakeTimeoutMs = 10_000
const defaultHttp2IdleMs = 75_000
const firstBytesTimeoutMs = 60_000

/** Answers a request; what goes wrong is its own business. */
export type Handle = (req: IncomingMessage, res: ServerResponse) => Promise<void>

/** Listens; rejects, with nothing left open, if it cannot. */
export async function listen(
  handle: Handle,
  { tls: tlsConfig, http2, h2c, ...place }: ListenOptions,
  {
    clock = systemClock,
    logger = silentLogger,
    onCertificateExpiry = () => {},
    handshakeTimeoutMs = defaultHandshakeTimeoutMs,
    http2IdleMs = defaultHttp2IdleMs,
  }: ListenDeps = {},
): Promise<Listener> {
  const tls = tlsConfig && (await openTls(tlsConfig, { clock, logger, onExpiry: onCertificateExpiry }))
  const speaksHttp2 = tls === undefined ? h2c?.enabled === true : http2?.disabled !== true
  const connections = new Connections()
  const server =
    tls === undefined ? http.createServer(options) : createHttps(tls, speaksHttp2, handshakeTimeoutMs)
  const second = speaksHttp2 ? createHttp2Server() : undefined
  for (const each of [server, second]) if (each !== undefined) serve(each, handle, connections)
  const toSecond = second && takeSessions(second, { connections, clock, idleMs: http2IdleMs })
  const firstBytes = new FirstBytes({
    clock,
    timeoutMs: tls === undefined ? firstBytesTimeoutMs : handshakeTimeoutMs,
  })
  if (tls === undefined) routePlain(server, toSecond, { connections, firstBytes })
  else routeTls(server as https.Server, toSecond, { connections, firstBytes, tls })
  server.on('connect', (_req, socket: Duplex) => refuseConnect(socket))
  server.on('clientError', (err: NodeJS.ErrnoException, socket) => {
    // What follows the last request that a client announced concerns nobody.
    if (err.code === 'HPE_CLOSED_CONNECTION' && connections.isBusy(socket)) return
    // Where a handshake came to nothing, no answer would ever leave: the connection must not wait for that.
    if (socket.writable && connections.has(socket) && !connections.isAnswering(socket)) refuse(err, socket)
    else socket.destroy()
  })
  try {
    await bind(server, place)
  } catch (err) {
    tls?.close()
    throw err
  }
  tls?.attach(server as https.Server)
  return {
    ...whereabouts(server, tls === undefined ? 'http' : 'https'),
    async drain(graceMs, clock) {
      // http.Server.close() would cut answers that are still on their way, see connections.ts.
      NetServer.prototype.close.call(server)
      firstBytes.destroy()
      await connections.drain(graceMs, clock)
    },
    close() {
      tls?.close()
      firstBytes.destroy()
      connections.destroy()
      server.close()
    },
  }
}

function createHttps(tls: Tls, speaksHttp2: boolean, handshakeTimeoutMs: number): https.Server {
  return https.createServer({
    ...options,
    ...tls.options,
    handshakeTimeout: handshakeTimeoutMs,
    ALPNProtocols: speaksHttp2 ? ['h2', 'http/1.1'] : ['http/1.1'],
  })
}

/** Hands requests to the application, whichever protocol they came by. */
function serve(server: Server | Http2Server, handle: Handle, connections: Connections): void {
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    connections.begun(req, res)
    void handle(req, res)
  })
  answerExpectations(server as Server)
}

/**
 * A body that a client holds back is asked for when somebody wants to read it, and not before: a push that is refused
 * costs nothing. Expectations that are none of ours are the application's to refuse.
 */
function answerExpectations(server: Server): void {
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    req.once('resume', () => {
      if (!res.headersSent) res.writeContinue()
    })
    server.emit('request', req, res)
  })
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    server.emit('request', req, res)
  })
}

type Serve = (socket: Socket) => void

interface Routing {
  readonly connections: Connections
  readonly firstBytes: FirstBytes
}

function routePlain(server: Server, toSecond: Serve | undefined, routing: Routing): void {
  const { connections, firstBytes } = routing
  const serveFirst = takeOver(server, 'connection')
  const toFirst = (socket: Socket) => {
    connections.opened(socket)
    serveFirst(socket)
  }
  if (toSecond === undefined) return void server.on('connection', toFirst)
  const decide = (bytes: Buffer) => {
    const isHttp2 = beginsHttp2(bytes)
    return isHttp2 === undefined ? undefined : isHttp2 ? toSecond : toFirst
  }
  server.on('connection', (socket: Socket) => {
    connections.accepted(socket)
    firstBytes.read(socket, decide)
  })
}

function routeTls(
  server: https.Server,
  toSecond: Serve | undefined,
  { connections, firstBytes, tls }: Routing & { readonly tls: Tls },
): void {
  const handshake = takeOver(server, 'connection')
  const serveFirst = takeOver(server, 'secureConnection')
  const { challenges } = tls
  const challenge = (socket: Socket) => void challenges?.emit('connection', socket)
  const decide = (bytes: Buffer) => {
    if (beginsHttp(bytes)) return refusePlainHttp
    if (challenges === undefined) return handshake
    if (!hasClientHello(bytes)) return undefined
    return bytes.includes('acme-tls/1') ? challenge : handshake
  }
  server.on('connection', (socket: Socket) => {
    connections.accepted(socket)
    firstBytes.read(socket, decide)
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    if (!tls.admits(socket)) return void socket.destroy()
    if (socket.alpnProtocol === 'h2' && toSecond !== undefined) return toSecond(socket)
    connections.opened(socket)
    serveFirst(socket)
  })
}

/** Node's own way to serve what this event brings, in place of which we decide. */
function takeOver(server: Server | TlsServer, event: string): Serve {
  const [own] = server.listeners(event) as ((socket: Socket) => void)[]
  if (own === undefined) throw new TypeError(`a server of Node serves no "${event}"`)
  server.removeAllListeners(event)
  return socket => own.call(server, socket)
}
