// A body on its way through the fault-injecting upstream: altered, paced, cut. It goes on only as fast as the client
// takes it, and holds one chunk at a time.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { createGzip } from 'node:zlib'
import type { RequestFaults } from './rules.ts'

type Chunks = AsyncIterable<Buffer>

/** The content as a faulty registry has it. `start` is where in the content it begins; `length` is undefined if unknown. */
export function alteredBody(
  chunks: Chunks,
  start: number,
  length: number | undefined,
  faults: RequestFaults,
): Chunks {
  const { flipByteAt, truncateBy, lengthenBy, gzip } = faults
  let body = chunks
  if (flipByteAt !== undefined) body = flipped(body, flipByteAt - start)
  if (truncateBy !== undefined && length !== undefined) body = firstOf(body, Math.max(0, length - truncateBy))
  if (lengthenBy !== undefined) body = lengthened(body, lengthenBy)
  return gzip === 'applied' ? compressed(body) : body
}

export interface Sending {
  readonly socket: Socket
  readonly pace: Pace
  readonly faults: RequestFaults
  /** Called before bytes are handed to the socket. */
  readonly count: (bytes: number) => void
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
}

/** Writes a body behind the headers of `res`, and ends it unless it is cut. Rejects when the client goes. */
export async function sendBody(res: ServerResponse, body: Chunks, sending: Sending): Promise<void> {
  const { socket, pace, faults, count, signal } = sending
  const cut = faults.cut
  let sent = 0
  res.flushHeaders()
  for await (const chunk of body) {
    // `take()` counts; it is asked once, in the chunk that goes beyond the cut.
    const isCut =
      cut !== undefined && sent <= cut.afterBytes && sent + chunk.length > cut.afterBytes && cut.take()
    const sendable = isCut ? chunk.subarray(0, cut.afterBytes - sent) : chunk
    for (const piece of pace.pieces(sendable, faults.bytesPerSecond)) {
      await pace.turn(socket, piece.length, faults.bytesPerSecond, signal)
      signal.throwIfAborted()
      count(piece.length)
      if (!res.write(piece)) await once(res, 'drain', { signal })
    }
    sent += sendable.length
    if (!isCut) continue
    await flushed(socket)
    return void socket.resetAndDestroy()
  }
  // A body that is shorter than its Content-Length can only end with its connection.
  if (faults.truncateBy !== undefined && res.hasHeader('content-length')) socket.destroySoon()
  else res.end()
}

/** Holds each connection to its byte rate, over all the bodies that it carries. */
export class Pace {
  readonly #dueAtMs = new WeakMap<Socket, number>()

  /** Resolves when so many bytes may go out. A timer that came late is made good, up to 20 ms. */
  async turn(
    socket: Socket,
    bytes: number,
    bytesPerSecond: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (bytesPerSecond === undefined) return
    const nowMs = performance.now()
    const dueAtMs = Math.max(this.#dueAtMs.get(socket) ?? 0, nowMs - 20)
    this.#dueAtMs.set(socket, dueAtMs + (bytes / bytesPerSecond) * 1000)
    if (dueAtMs - nowMs >= 1) await delay(dueAtMs - nowMs, undefined, { signal })
  }

  /** A chunk in pieces that are sent at once: what the rate allows in 20 ms. */
  *pieces(chunk: Buffer, bytesPerSecond: number | undefined): Generator<Buffer> {
    const size = bytesPerSecond === undefined ? chunk.length : Math.max(1, Math.floor(bytesPerSecond / 50))
    for (let start = 0; start < chunk.length; start += size) yield chunk.subarray(start, start + size)
  }
}

/** Resolves when all that was written is with the system, or cannot be sent any more. */
async function flushed(socket: Socket): Promise<void> {
  await new Promise<void>(resolve => void socket.write('', () => resolve()))
}

async function* flipped(chunks: Chunks, at: number): AsyncGenerator<Buffer> {
  let offset = 0
  for await (const chunk of chunks) {
    const place = at - offset
    const byte = chunk[place]
    offset += chunk.length
    if (byte === undefined) yield chunk
    else yield Buffer.concat([chunk.subarray(0, place), Buffer.of(byte ^ 0xff), chunk.subarray(place + 1)])
  }
}

async function* firstOf(chunks: Chunks, limit: number): AsyncGenerator<Buffer> {
  let left = limit
  for await (const chunk of chunks) {
    if (left > 0) yield chunk.subarray(0, left)
    left -= chunk.length
  }
}

async function* lengthened(chunks: Chunks, by: number): AsyncGenerator<Buffer> {
  yield* chunks
  yield Buffer.alloc(by, '+')
}

async function* compressed(chunks: Chunks): AsyncGenerator<Buffer> {
  const gzip = createGzip()
  const done = pipeline(Readable.from(chunks, { objectMode: false }), gzip)
  done.catch(() => {}) // awaited below, which may be later than it fails
  try {
    for await (const chunk of gzip) yield chunk as Buffer
  } finally {
    gzip.destroy()
    await done
  }
}
