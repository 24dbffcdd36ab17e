// HTTP/2 for an application that was written for HTTP/1.1. Node's compatibility layer is nearly that; what it leaves out
// is here: a body that breaks off must never look complete in either direction, and the host has another name.
import http2, {
  type Http2Server,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { ReadableOptions } from 'node:stream'

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = http2.constants
const mebibyte = 1024 * 1024
/** Bytes of all requests together that may be on their way: with less, one far client could not fill its line. */
const connectionWindowBytes = 8 * mebibyte

/** Sessions are made of connections that are handed to it as 'connection'; it does not listen itself. */
export function createHttp2Server(): Http2Server {
  const server = http2.createServer({
    settings: {
      // What a request may send before it is read: times the streams, what one connection can make us hold.
      initialWindowSize: mebibyte,
      maxConcurrentStreams: 100,
      maxHeaderListSize: 64 * 1024,
      enablePush: false,
    },
    // MiB; large answers in many streams at a time wait in it for windows of their clients.
    maxSessionMemory: 128,
    Http2ServerRequest: Request,
    Http2ServerResponse: Response as unknown as typeof Http2ServerResponse,
  })
  server.on('session', session => session.setLocalWindowSize(connectionWindowBytes))
  return server
}

class Request extends Http2ServerRequest {
  /** Bytes of the body so far. */
  receivedBytes = 0

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: ReadableOptions,
    rawHeaders: readonly string[],
  ) {
    super(stream, headers, options, rawHeaders)
    // RFC 9113, 8.3.1: the authority replaces Host.
    const authority = headers[':authority']
    if (authority !== undefined) headers.host = authority
    // What HTTP/1.1 says of a body without a length; HTTP/2 has no such header, and no client can have sent it.
    if (!stream.endAfterHeaders && headers['content-length'] === undefined) {
      headers['transfer-encoding'] = 'chunked'
    }
    // Else a body that the client broke off would end as if it were complete.
    this.on('error', () => {}) // It may be that nobody reads it.
    stream.once('aborted', () => {
      if (!this.readableEnded) this.destroy(new ClientGoneError())
    })
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk instanceof Uint8Array) this.receivedBytes += chunk.length
    return super.push(chunk, encoding)
  }
}

class ClientGoneError extends Error {
  readonly code = 'ECONNRESET'

  constructor() {
    super('aborted')
  }
}

/** What is not mentioned here Node lacks, although its types say that it is there. */
interface NodeResponse {
  setHeader(name: string, value: number | string | readonly string[]): void
  write(...args: readonly unknown[]): boolean
}
const NodeResponse = Http2ServerResponse as unknown as new (
  stream: ServerHttp2Stream,
  options?: object,
) => NodeResponse

class Response extends NodeResponse {
  #errored: Error | null = null
  #writtenBytes = 0
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream, options?: object) {
    super(stream, options)
    this.#stream = stream
    // The rest of a body that nobody wanted: without this its client would wait for room to send it.
    stream.once('finish', () => {
      if (!stream.endAfterHeaders && !stream.readableEnded) setImmediate(() => stream.close(NGHTTP2_NO_ERROR))
    })
  }

  get destroyed(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  get errored(): Error | null {
    return this.#errored
  }

  get writableFinished(): boolean {
    const { aborted, rstCode, writableFinished } = this.#stream
    return writableFinished && !aborted && rstCode === NGHTTP2_NO_ERROR
  }

  /** Bytes of the body that have been handed to the system so far. */
  get sentBytes(): number {
    return this.#writtenBytes - this.#stream.writableLength
  }

  // RFC 9113, 8.2.2: a connection is none of a stream's business.
  override setHeader(name: string, value: number | string | readonly string[]): void {
    if (!ofConnection.has(name.toLowerCase())) super.setHeader(name, value)
  }

  override write(chunk: unknown, ...rest: readonly unknown[]): boolean {
    const done = rest.at(-1)
    if (this.destroyed) {
      const gone = new ClientGoneError()
      if (typeof done === 'function') process.nextTick(done, gone)
      return false
    }
    if (typeof chunk === 'string') this.#writtenBytes += Buffer.byteLength(chunk)
    else if (chunk instanceof Uint8Array) this.#writtenBytes += chunk.length
    return super.write(chunk, ...rest)
  }

  /** Never ends the stream in good order: the client must not take what it has for the whole. */
  destroy(err?: Error): this {
    this.#errored ??= err ?? new Error('Cannot complete answer')
    if (!this.#stream.closed) this.#stream.close(NGHTTP2_INTERNAL_ERROR)
    return this
  }
}

const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
