// Several ranges of one blob as one body, multipart/byteranges. Everything but the content is known beforehand, so that
// such an answer has an exact length, too. Source: RFC 9110, 14.6 and 15.3.7.2.
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { formatContentRange, type ByteRange } from '../oci/byte-range.ts'
import { exactly } from '../streams/exactly.ts'

export interface MultipartRanges {
  readonly contentType: string
  /** Bytes of the whole body. */
  readonly length: number
  readonly parts: readonly RangePart[]
  /** What ends the body. */
  readonly end: Buffer
}

export interface RangePart {
  /** What stands before the part's content: the boundary and its headers. */
  readonly head: Buffer
  readonly range: ByteRange
}

/** Lays out the body for these ranges of content of `sizeBytes` and `mediaType`, in their order. */
export function layOutRanges(
  ranges: readonly ByteRange[],
  sizeBytes: number,
  mediaType: string,
): MultipartRanges {
  const boundary = randomUUID()
  const parts = ranges.map((range, i) => ({
    head: Buffer.from(
      `${i === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${mediaType}\r\n` +
        `Content-Range: ${formatContentRange(range, sizeBytes)}\r\n\r\n`,
    ),
    range,
  }))
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    length: parts.reduce((sum, { head, range }) => sum + head.length + range.end - range.start, end.length),
    parts,
    end,
  }
}

/**
 * The body as a stream; `open` opens the content of a range. Rejects if the first range cannot be opened. Later
 * failures, and content of a wrong length, make the stream err, so that no final boundary is ever sent after them.
 */
export async function streamRanges(
  { parts, end }: MultipartRanges,
  open: (range: ByteRange) => Promise<Readable>,
): Promise<Readable> {
  const [first, ...others] = parts
  if (first === undefined) throw new TypeError('Cannot stream ranges: there are none')
  let content = await openPart(first)

  async function openPart({ range }: RangePart): Promise<Readable> {
    const opened = exactly(await open(range), range.end - range.start)
    // It may fail before anybody reads it; whoever does then gets the error.
    return opened.on('error', () => {})
  }

  async function* pieces(firstHead: Buffer): AsyncGenerator<Buffer, void, undefined> {
    yield firstHead
    yield* content as AsyncIterable<Buffer>
    for (const part of others) {
      yield part.head
      content = await openPart(part)
      if (stream.destroyed) content.destroy()
      yield* content as AsyncIterable<Buffer>
    }
    yield end
  }

  const body = pieces(first.head)
  const stream = new Readable({
    read() {
      body.next().then(
        ({ done, value }) => stream.push(done ? null : value),
        (err: unknown) =>
          stream.destroy(err instanceof Error ? err : new Error('Cannot read', { cause: err })),
      )
    },
    destroy(err, done) {
      // Not by the generator's return(), which would wait for the piece that it is waiting for.
      content.destroy()
      done(err)
    },
  })
  return stream
}
