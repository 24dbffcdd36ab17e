// Answers with a blob. Everything that can end the answer early (304, 416, HEAD, a redirect) is decided before the
// content is opened, so that no stream is ever orphaned; assigning the stream is the last thing done.
import type { Readable } from 'node:stream'
import { formatContentRange, parseRange, type ByteRange } from '../oci/byte-range.ts'
import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { BlobBody } from '../registry/registry.ts'
import { BufferPool, pump } from '../streams/content-reader.ts'
import { exactly, readExactly } from '../streams/exactly.ts'
import { entityTag, isKnownToClient } from './conditional.ts'
import { answerEmpty, type Context } from './context.ts'
import { HttpError } from './http-error.ts'

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
    if (isKnownToClient(ctx, body.digest)) return sendNotModified(ctx, body.digest)
    const range = body.size === undefined ? undefined : wantedRange(ctx, body.digest, body.size)
    const length = range === undefined ? body.size : range.end - range.start
    if (body.openReader !== undefined && length !== undefined && length > smallBytes) {
      return await sendByPosition(ctx, body, range ?? { start: 0, end: length }, range !== undefined)
    }
    const content = await openContent(ctx, body, range, length)
    setAnswer(ctx, body, range)
    // Clients give up on a server that is silent for 30 s, and a fill's first byte may take longer.
    if (body.origin === 'fill') ctx.flushHeaders()
    ctx.body = content
  }

  /** Large content from a store that reads by position goes out without Koa and Node's streams, see pump(). */
  async function sendByPosition(
    ctx: Context,
    body: Bytes,
    range: ByteRange,
    isPartial: boolean,
  ): Promise<void> {
    const { signal } = ctx.state
    const reader = await body.openReader?.({ signal })
    if (reader === undefined) throw new TypeError('Cannot send content: it has no reader')
    try {
      setAnswer(ctx, body, isPartial ? range : undefined)
      await pump(reader, range, ctx.res, { pool, signal })
      // Not before: what fails at the first byte is still answered with an error.
      ctx.respond = false
      ctx.res.end()
    } finally {
      await reader.close()
    }
  }
}

type Bytes = Extract<BlobBody, { readonly kind: 'bytes' }>

/** Small content is read at once: a transfer in pieces costs as much as all the rest of its request. */
const smallBytes = 64 * 1024

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

/** Answers HEAD: the headers that GET would have. */
export function sendBlobHead(ctx: Context, digest: Digest, size: number): void {
  if (isKnownToClient(ctx, digest)) return sendNotModified(ctx, digest)
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

/** The one range to send; undefined for the whole. Several at once are answered with the whole, as one may. */
function wantedRange(ctx: Context, digest: Digest, size: number): ByteRange | undefined {
  const header = ctx.req.headers.range
  const condition = ctx.get('If-Range')
  if (header === undefined || (condition !== '' && condition !== entityTag(digest))) return undefined
  const verdict = parseRange(header, size)
  if (verdict.kind === 'unsatisfiable') {
    throw new HttpError('RANGE_INVALID', `Cannot serve range "${header.slice(0, 80)}" of ${size} bytes`, {
      headers: { 'Content-Range': `bytes */${size}` },
    })
  }
  return verdict.kind === 'ranges' && verdict.ranges.length === 1 ? verdict.ranges[0] : undefined
}
