// Answers to what is no request that the application could see, written by hand.
import type { Duplex } from 'node:stream'
import { errorCodes } from '../oci/errors.ts'

/** Answers what the parser refused. */
export function refuse(err: NodeJS.ErrnoException, socket: Duplex): void {
  const { status, reason } = refusals.get(err.code ?? '') ?? {
    status: '400 Bad Request',
    reason: 'malformed request',
  }
  answerRaw(socket, status, reason)
}

export function refuseConnect(socket: Duplex): void {
  answerRaw(socket, '405 Method Not Allowed', 'this is no proxy')
}

/** To a client that forgot the `s`: the words are those that people search for. */
export function refusePlainHttp(socket: Duplex): void {
  const text = 'Client sent an HTTP request to an HTTPS server.\n'
  send(socket, '400 Bad Request', 'text/plain; charset=utf-8', text)
}

function answerRaw(socket: Duplex, status: string, reason: string): void {
  const { message } = errorCodes.UNSUPPORTED
  const body = `${JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message, detail: reason }] })}\n`
  send(socket, status, 'application/json', body)
}

function send(socket: Duplex, status: string, type: string, body: string): void {
  const head = [
    `HTTP/1.1 ${status}`,
    ...(status.startsWith('405') ? ['Allow: '] : []),
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.on('error', () => {}) // It may have left; then nobody waits for an answer.
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

const refusals: ReadonlyMap<string, { readonly status: string; readonly reason: string }> = new Map([
  ['HPE_HEADER_OVERFLOW', { status: '431 Request Header Fields Too Large', reason: 'headers are too large' }],
  ['ERR_HTTP_REQUEST_TIMEOUT', { status: '408 Request Timeout', reason: 'headers did not arrive in time' }],
])
