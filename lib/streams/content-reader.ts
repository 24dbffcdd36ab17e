// Content that is read by position into memory of the reader's own, so that a large transfer needs two buffers and no
// garbage: what Node's streams allocate anew for each chunk is what its collector spends its time on.
import type { Writable } from 'node:stream'
import { abortable } from '../keyed-lock.ts'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions } from '../oci/descriptor.ts'

/** Whoever opened it closes it. */
export interface ContentReader {
  /** Bytes. */
  readonly size: number
  /**
   * Puts content from `position` on into `into`; resolves with how many bytes, 0 only at the end. Content that is still
   * on its way is waited for.
   */
  readInto(into: Buffer, position: number, options?: CallOptions): Promise<number>
  close(): Promise<void>
}

/** Buffers of one size that transfers take turns with; a few free ones are kept. */
export class BufferPool {
  readonly #bufferBytes: number
  readonly #maxFree: number
  readonly #free: Buffer[] = []

  constructor({ bufferBytes, maxFree }: { readonly bufferBytes: number; readonly maxFree: number }) {
    this.#bufferBytes = bufferBytes
    this.#maxFree = maxFree
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bufferBytes)
  }

  /** Only for a buffer that nobody reads any more. */
  giveBack(buffer: Buffer): void {
    if (this.#free.length < this.#maxFree) this.#free.push(buffer)
  }
}

/**
 * Writes a range of the content to `sink`, reading a piece while the one before is being written; resolves when the
 * sink has taken everything, and does not end it. Rejects if the content ends early, if the sink fails, or with
 * `signal.reason`, which must be aborted when the sink closes.
 */
export async function pump(
  reader: ContentReader,
  range: ByteRange,
  sink: Writable,
  { pool, signal }: { readonly pool: BufferPool } & CallOptions,
): Promise<void> {
  let reading = pool.take()
  let spare = pool.take()
  let writing: Promise<void> | undefined
  for (let position = range.start; position < range.end;) {
    signal?.throwIfAborted()
    const piece = reading.subarray(0, Math.min(reading.length, range.end - position))
    const count = await reader.readInto(piece, position, { signal })
    if (count === 0) throw new Error(`Cannot deliver content: ends at ${position}, not at ${range.end}`)
    position += count
    await writing
    writing = writeTo(sink, piece.subarray(0, count), signal)
    writing.catch(() => {}) // It is awaited at the next turn; a failed read may come first.
    ;[reading, spare] = [spare, reading]
  }
  await writing
  // After a failure the system may still be reading from a buffer: only those of a clean end are used again.
  pool.giveBack(reading)
  pool.giveBack(spare)
}

/** Writes a piece; resolves when the sink has taken it, see pump() for the rest. */
export function writeTo(sink: Writable, piece: Buffer, signal: AbortSignal | undefined): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    sink.write(piece, err => (err ? reject(err) : resolve()))
  })
  return abortable(written, signal)
}
