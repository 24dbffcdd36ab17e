// A blob's body under way from an upstream: from exactly the byte that was asked for, and never shorter than told.
import type { Readable } from 'node:stream'
import { parseContentRange } from '../oci/byte-range.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { batches, sizeOf, type Batch } from '../streams/batches.ts'
import { brokenBody, type HttpAnswer } from './answer.ts'
import type { ByteRate } from './byte-rate.ts'
import { UpstreamError } from './errors.ts'
import type { UpstreamBody } from './upstream.ts'

export interface BodyOptions extends CallOptions {
  /** Holds each piece back until its bytes are within the rate. Default as fast as they come. */
  readonly byteRate?: ByteRate | undefined
}

/**
 * Wraps the answer to a GET of a blob from byte `start` on. Takes the answer over: it is destroyed if this throws
 * UpstreamError `invalid`, which it does if the answer cannot be the rest of the blob as it is.
 */
export function toUpstreamBody(
  answer: HttpAnswer,
  upstream: string,
  start: number,
  options: BodyOptions = {},
): UpstreamBody {
  const extent = extentOf(answer, start)
  if (typeof extent === 'string') {
    answer.body.destroy()
    throw new UpstreamError('invalid', upstream, `Cannot use blob from "${upstream}": ${extent}`, {
      status: answer.status,
    })
  }
  const disposal = new AbortController()
  const pace = options.byteRate && paceOf(options.byteRate, disposal.signal, options)
  return {
    size: extent.size,
    [Symbol.asyncIterator]: () => read(answer, upstream, start, extent, { ...options, pace }),
    async dispose() {
      disposal.abort(new Error('disposed of'))
      answer.body.destroy()
    },
  }
}

/** Waits until so many bytes are within the rate. */
type Pace = (bytes: number) => Promise<void>

/** Ends also where the body is disposed of, since a reader may have to wait for long. */
function paceOf(byteRate: ByteRate, disposed: AbortSignal, { signal }: CallOptions): Pace {
  const ended = signal === undefined ? disposed : AbortSignal.any([signal, disposed])
  return bytes => byteRate.take(bytes, { signal: ended })
}

interface Extent {
  /** Of the whole blob. */
  readonly size: number | undefined
  /** Bytes to throw away before `start` is reached. */
  readonly skip: number
}

/** What of the blob the answer brings, or a text that says what is wrong with it. */
function extentOf(answer: HttpAnswer, start: number): Extent | string {
  const encoding = answer.header('content-encoding') ?? 'identity'
  if (encoding !== 'identity') return `it is encoded as "${encoding}"`
  if (answer.status === 206) {
    const range = parseContentRange(answer.header('content-range') ?? '')
    if (range === undefined) return 'no range in a partial answer'
    if (range.start !== start) return `starts at ${range.start}, not at ${start}`
    if (range.total !== undefined && range.end !== range.total) return 'ends before the end of the blob'
    return { size: range.total, skip: 0 }
  }
  if (answer.status !== 200) return `answered ${answer.status}`
  const size = contentLength(answer)
  if (size !== undefined && size < start) return `has ${size} bytes, asked from ${start}`
  return { size, skip: start }
}

/** Content-Length, if there is a sound one. */
export function contentLength(answer: HttpAnswer): number | undefined {
  const text = answer.header('content-length')
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

async function* read(
  answer: HttpAnswer,
  upstream: string,
  start: number,
  { size, skip }: Extent,
  { signal, pace }: CallOptions & { readonly pace: Pace | undefined },
): AsyncGenerator<Batch, void, undefined> {
  const expected = size === undefined ? undefined : size - start
  const body: Readable = answer.body
  let unwanted = skip
  let received = 0
  try {
    for await (const batch of batches(body, { signal })) {
      const wanted = unwanted === 0 ? batch : skipBytes(batch, unwanted)
      const wantedBytes = sizeOf(wanted)
      unwanted -= sizeOf(batch) - wantedBytes
      received += wantedBytes
      if (expected !== undefined && received > expected)
        throw new Error(`more than the ${expected} bytes announced`)
      if (pace !== undefined) await pace(sizeOf(batch))
      if (wanted.length > 0) yield wanted
    }
    if (unwanted > 0) throw new Error(`ended before byte ${start}`)
    if (expected !== undefined && received < expected)
      throw new Error(`ended after ${received} of ${expected} bytes`)
  } catch (cause) {
    throw signal?.aborted ? signal.reason : brokenBody(answer, upstream, cause)
  } finally {
    body.destroy()
  }
}

/** What is left of a batch without its first bytes; at most all of them. */
function skipBytes(batch: Batch, bytes: number): Batch {
  const rest: Buffer[] = []
  let skip = bytes
  for (const piece of batch) {
    if (piece.length > skip) rest.push(piece.subarray(skip))
    skip = Math.max(0, skip - piece.length)
  }
  return rest
}
