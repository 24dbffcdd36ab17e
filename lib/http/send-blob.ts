// Answers with a blob. Everything that can end the answer early (304, 416, HEAD, a redirect) is decided before the
// content is opened, so that no stream is ever orphaned; assigning the stream is the last thing done.
import type { Readable } from 'node:stream'
import { formatContentRange, parseRange, type ByteRange } from '../oci/byte-range.ts'
import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { BlobBody } from '../registry/registry.ts'
import { BufferPool, pump, writeTo } from '../streams/content-reader.ts'
import { exactly, readExactly } from '../streams/exactly.ts'
import { entityTag, isNotModified, isRangeWelcome } from './conditional.ts'
import { answerEmpty, type Context } from './context.ts'
import { HttpError } from './http-error.ts'
import { layOutRanges, streamRanges, type MultipartRanges } from './multipart-ranges.ts'

/** Sends blobs; one for an application, since its transfers share their buffers. */
export function createBlobSender(): (ctx: Context, body: BlobBody) => Promise<void> {
  const pool = new BufferPool({ bufferBytes: 512 * 1024, maxFree: 16 })

  /** Sends a blob's body: all of it, one range of it, or the way to it. */
  return async (ctx, body) => {
    if (body.kind === 'redirect') {
      answerEmpty(ctx, 307)
      ctx.set('Location', body.location.href)
      return
    }
    if (isNotModified(ctx, body.digest)) return sendNotModified(ctx, body.digest)
    const ranges = body.size === undefined ? [] : wantedRanges(ctx, body.digest, body.size)
    if (body.size !== undefined && ranges.length > 1) {
      return await sendRanges(ctx, body, layOutRanges(ranges, body.size, mediaTypes.octetStream))
    }
    const [range] = ranges
    const length = range === undefined ? body.size : range.end - range.start
    if (body.openReader !== undefined && length !== undefined && length > smallBytes) {
      const begin = () => setAnswer(ctx, body, range)
      return await sendByPosition(ctx, body, [{ range: range ?? { start: 0, end: length } }], begin)
    }
    const content = await openContent(ctx, body, range, length)
    setAnswer(ctx, body, range)
    sendStream(ctx, body, content)
  }

  async function sendRanges(ctx: Context, body: Bytes, multipart: MultipartRanges): Promise<void> {
    const begin = () => setMultipartAnswer(ctx, body, multipart)
    if (body.openReader !== undefined) {
      return await sendByPosition(ctx, body, [...multipart.parts, { head: multipart.end }], begin)
    }
    const { signal } = ctx.state
    const content = await streamRanges(multipart, range => body.read(range, { signal }))
    begin()
    sendStream(ctx, body, content)
  }

  /** Large content from a store that reads by position goes out without Koa and Node's streams, see pump(). */
  async function sendByPosition(
    ctx: Context,
    body: Bytes,
    pieces: readonly Piece[],
    begin: () => void,
  ): Promise<void> {
    const { signal } = ctx.state
    const reader = await body.openReader?.({ signal })
    if (reader === undefined) throw new TypeError('Cannot send content: it has no reader')
    try {
      begin()
      flushHeadersOf(ctx, body)
      for (const { head, range } of pieces) {
        if (head !== undefined) await writeTo(ctx.res, head, signal)
        if (range !== undefined) await pump(reader, range, ctx.res, { pool, signal })
      }
      // Not before: what fails at the first byte is still answered with an error.
      ctx.respond = false
      ctx.res.end()
    } finally {
      await reader.close()
    }
  }
}

type Bytes = Extract<BlobBody, { readonly kind: 'bytes' }>

/** Bytes of our own, then a range of the content. */
interface Piece {
  readonly head?: Buffer
  readonly range?: ByteRange
}

/** Small content is read at once: a transfer in pieces costs as much as all the rest of its request. */
const smallBytes = 64 * 1024

function sendStream(ctx: Context, body: Bytes, content: Readable | Buffer): void {
  flushHeadersOf(ctx, body)
  ctx.body = content
}

/** Clients give up on a server that is silent for 30 s, and a fill's first byte may take longer. */
function flushHeadersOf(ctx: Context, { origin }: Bytes): void {
  if (origin === 'fill') ctx.flushHeaders()
}

async function openContent(
  ctx: Context,
  body: Bytes,
  range: ByteRange | undefined,
  length: number | undefined,
): Promise<Readable | Buffer> {
  const content = await body.read(range, { signal: ctx.state.signal })
  if (length === undefined) return content
  const isSmall = body.origin === 'store' && length <= smallBytes
  return isSmall ? await readExactly(content, length) : exactly(content, length)
}

function setAnswer(ctx: Context, { digest, size }: Bytes, range: ByteRange | undefined): void {
  ctx.status = range === undefined ? 200 : 206
  setBlobHeaders(ctx, digest, range === undefined ? size : range.end - range.start)
  if (range !== undefined && size !== undefined) ctx.set('Content-Range', formatContentRange(range, size))
}

function setMultipartAnswer(ctx: Context, { digest }: Bytes, { contentType, length }: MultipartRanges): void {
  ctx.status = 206
  setBlobHeaders(ctx, digest, length)
  ctx.set('Content-Type', contentType)
}

/** Answers HEAD: the headers that GET would have. Ranges are for GET alone (RFC 9110, 14.2). */
export function sendBlobHead(ctx: Context, digest: Digest, size: number): void {
  if (isNotModified(ctx, digest)) return sendNotModified(ctx, digest)
  ctx.status = 200
  setBlobHeaders(ctx, digest, size)
}

function sendNotModified(ctx: Context, digest: Digest): void {
  answerEmpty(ctx, 304)
  ctx.set({ ETag: entityTag(digest), 'Cache-Control': immutable, 'Docker-Content-Digest': digest })
}

function setBlobHeaders(ctx: Context, digest: Digest, length: number | undefined): void {
  ctx.set({
    'Accept-Ranges': 'bytes',
    'Cache-Control': immutable,
    'Content-Type': mediaTypes.octetStream,
    'Docker-Content-Digest': digest,
    ETag: entityTag(digest),
  })
  if (length !== undefined) ctx.set('Content-Length', String(length))
}

const immutable = 'max-age=31536000'

/** The ranges to send; none for the whole. An empty blob is sent as a whole, as clients may ask for `0-` of anything. */
function wantedRanges(ctx: Context, digest: Digest, size: number): readonly ByteRange[] {
  const header = ctx.req.headers.range
  if (header === undefined || size === 0 || !isRangeWelcome(ctx, digest)) return []
  const verdict = parseRange(header, size)
  if (verdict.kind === 'unsatisfiable') {
    throw new HttpError('RANGE_INVALID', `Cannot serve range "${header.slice(0, 80)}" of ${size} bytes`, {
      detail: `the content has ${size} bytes`,
      headers: { 'Content-Range': `bytes */${size}` },
    })
  }
  return verdict.kind === 'ranges' ? verdict.ranges : []
}
