// One HTTP or HTTPS server with our limits: it listens, answers what is not even HTTP, and stops without cutting
// answers short. Requests themselves have no time limit, since a layer may take hours; only headers do.
import { readFile, lstat, unlink } from 'node:fs/promises'
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import https from 'node:https'
import { connect, Server as NetServer } from 'node:net'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Clock } from './clock.ts'
import { parseAddress } from './config/address.ts'
import type { TlsConfig } from './config/config.ts'
import { Connections } from './connections.ts'
import { errorCodes } from './oci/errors.ts'

export interface ListenOptions {
  /** `host:port`, or a path for `unix`. */
  readonly addr: string
  readonly net: 'tcp' | 'unix'
  readonly tls: TlsConfig | undefined
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
const handshakeTimeoutMs = 10_000

/** Answers a request; what goes wrong is its own business. */
export type Handle = (req: IncomingMessage, res: ServerResponse) => Promise<void>

/** Listens; rejects, with nothing left open, if it cannot. */
export async function listen(handle: Handle, { addr, net, tls }: ListenOptions): Promise<Listener> {
  const server = tls === undefined ? http.createServer(options) : https.createServer(await secured(tls))
  const connections = new Connections()
  connections.watch(server, tls !== undefined)
  server.on('request', (req, res) => void handle(req, res))
  answerExpectations(server)
  server.on('connect', (_req, socket: Duplex) =>
    answerRaw(socket, '405 Method Not Allowed', 'this is no proxy'),
  )
  server.on('clientError', (err: NodeJS.ErrnoException, socket) => {
    // What follows the last request that a client announced concerns nobody.
    if (err.code === 'HPE_CLOSED_CONNECTION' && connections.isBusy(socket)) return
    if (socket.writable && !connections.isAnswering(socket)) refuse(err, socket)
    else socket.destroy()
  })
  try {
    await bind(server, addr, net)
  } catch (cause) {
    server.close()
    throw new Error(`Cannot listen on "${addr}": ${reasonOf(cause)}`, { cause })
  }
  const protocol = tls === undefined ? 'http' : 'https'
  return {
    ...whereabouts(server, protocol),
    async drain(graceMs, clock) {
      // http.Server.close() would cut answers that are still on their way, see connections.ts.
      NetServer.prototype.close.call(server)
      await connections.drain(graceMs, clock)
    },
    close() {
      connections.destroy()
      server.close()
    },
  }
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

async function secured({ certificate, key, minimumtls }: TlsConfig): Promise<https.ServerOptions> {
  return {
    ...options,
    handshakeTimeout: handshakeTimeoutMs,
    cert: await readFile(certificate),
    key: await readFile(key),
    minVersion: minimumtls === 'tls1.3' ? 'TLSv1.3' : 'TLSv1.2',
  }
}

async function bind(server: Server, addr: string, net: 'tcp' | 'unix'): Promise<void> {
  if (net === 'unix') {
    await removeStaleSocket(addr)
    server.listen({ path: addr })
  } else {
    const address = parseAddress(addr)
    if (address === undefined) throw new TypeError('not of the form host:port')
    const { host, port } = address
    server.listen(host === '' ? { port } : { host, port })
  }
  await once(server, 'listening')
}

/** A socket that nobody answers on is what a killed process left behind. Anything else is not ours to remove. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new Error('a file that is not a socket is in the way')
  const probe = connect(path)
  try {
    await once(probe, 'connect')
  } catch {
    return await unlink(path)
  } finally {
    probe.destroy()
  }
  throw new Error('another process listens there')
}

function whereabouts(server: Server, protocol: 'http' | 'https'): Pick<Listener, 'address' | 'url'> {
  const bound = server.address()
  if (bound === null) throw new TypeError('the server does not listen')
  if (typeof bound === 'string') return { address: bound, url: `unix:${bound}` }
  const { address, port, family } = bound
  const host = family === 'IPv6' ? `[${address}]` : address
  const isEverywhere = address === '::' || address === '0.0.0.0'
  return {
    address: `${host}:${port}`,
    url: `${protocol}://${isEverywhere ? '127.0.0.1' : host}:${port}`,
  }
}

/** Answers what the parser refused: there is no request that the application could see. */
function refuse(err: NodeJS.ErrnoException, socket: Duplex): void {
  const { status, reason } = refusals.get(err.code ?? '') ?? {
    status: '400 Bad Request',
    reason: 'malformed request',
  }
  answerRaw(socket, status, reason)
}

function answerRaw(socket: Duplex, status: string, reason: string): void {
  const { message } = errorCodes.UNSUPPORTED
  const body = `${JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message, detail: reason }] })}\n`
  const head = [
    `HTTP/1.1 ${status}`,
    ...(status.startsWith('405') ? ['Allow: '] : []),
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

const refusals: ReadonlyMap<string, { readonly status: string; readonly reason: string }> = new Map([
  ['HPE_HEADER_OVERFLOW', { status: '431 Request Header Fields Too Large', reason: 'headers are too large' }],
  ['ERR_HTTP_REQUEST_TIMEOUT', { status: '408 Request Timeout', reason: 'headers did not arrive in time' }],
])

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  return reasons.get(code ?? '') ?? message
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'the address is in use'],
  ['EADDRNOTAVAIL', 'the address is not one of this machine'],
  ['EACCES', 'permission denied'],
  ['ENOTFOUND', 'the host name is unknown'],
])
