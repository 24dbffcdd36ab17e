// A blob in a staged file while it grows: one writes, many read what is there so far, each at its own pace. The last
// byte is withheld until everything is verified, so that a bad body can only ever end short.
//
// The file's descriptor is released when nothing more comes and the last reader has left; whether the file still has a
// name by then is no concern of the readers.
import type { Readable } from 'node:stream'
import { abortable } from '../keyed-lock.ts'
import type { Logger } from '../log.ts'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlobWriter } from '../storage/staged-blobs.ts'
import type { ContentReader } from '../streams/content-reader.ts'
import { tail, type GrowingContent } from '../streams/tail.ts'

export interface GrowingBlobDeps {
  readonly digest: Digest
  readonly writer: BlobWriter
  /** Bytes of the whole blob; undefined while nobody has said. */
  readonly size: number | undefined
  readonly logger: Logger
}

export class GrowingBlob implements GrowingContent {
  readonly #deps: GrowingBlobDeps
  #size: number | undefined
  /** All bytes are stored and make the digest; whether they can be kept is another matter. */
  #isVerified = false
  #failure: { readonly error: unknown } | undefined
  #hasEnded = false
  #isReleased = false
  #readers = 0
  /** What was stored last, for the readers that keep up: it need not be read back. */
  #latest: { readonly start: number; readonly batch: readonly Uint8Array[] } | undefined
  readonly #waiting = new Set<() => void>()

  constructor(deps: GrowingBlobDeps) {
    this.#deps = deps
    this.#size = deps.size
  }

  get size(): number | undefined {
    return this.#size
  }

  get bytesStored(): number {
    return this.#deps.writer.bytesWritten
  }

  get readers(): number {
    return this.#readers
  }

  /** Whether nobody can begin to read it any more. */
  get isReleased(): boolean {
    return this.#isReleased
  }

  /** To be called when a batch is stored; `start` is where it begins in the blob. */
  grew(start: number, batch: readonly Uint8Array[]): void {
    this.#latest = { start, batch }
    this.#wake()
  }

  /** From here on readers get it all: they need not wait until it is flushed, and a full disk is none of their business. */
  verify(): void {
    this.#size = this.bytesStored
    this.#isVerified = true
    this.#wake()
  }

  /** Readers err, unless it was verified before. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }

  /** Nothing more comes. Never rejects. */
  async end(): Promise<void> {
    this.#hasEnded = true
    this.#wake()
    this.#latest = undefined
    await this.#releaseIfUnused()
  }

  /** A stream over the blob or a part of it: what is stored now, then the rest as it comes. */
  read(range?: ByteRange, options: CallOptions = {}): Readable {
    this.#attach()
    return tail(
      this,
      { start: range?.start ?? 0, end: range?.end },
      { ...options, onClose: () => void this.#detach() },
    )
  }

  /** Like read(), but by position; for content whose size is known. */
  openReader(): ContentReader {
    if (this.#size === undefined) throw new TypeError('Cannot read by position: the size is not known')
    this.#attach()
    let isOpen = true
    return {
      size: this.#size,
      readInto: (into, position, options) => this.#readInto(into, position, options),
      close: async () => {
        if (!isOpen) return
        isOpen = false
        await this.#detach()
      },
    }
  }

  async waitBeyond(position: number, { signal }: CallOptions = {}): Promise<number> {
    for (;;) {
      const readable = this.#bytesReadable()
      if (readable > position || this.#isVerified) return readable
      await this.#wokenUp(signal)
    }
  }

  async readAt(
    position: number,
    maxBytes: number,
    options?: CallOptions & { readonly into?: Buffer },
  ): Promise<Buffer> {
    const { digest, writer } = this.#deps
    if (writer.readWritten === undefined) throw new TypeError(`Cannot read fill of "${digest}": not readable`)
    return writer.readWritten(position, maxBytes, options)
  }

  async #readInto(into: Buffer, position: number, options?: CallOptions): Promise<number> {
    const limit = await this.waitBeyond(position, options)
    if (limit <= position) return 0
    const wanted = into.subarray(0, Math.min(into.length, limit - position))
    const copied = this.#copyLatest(wanted, position)
    return copied > 0
      ? copied
      : (await this.readAt(position, wanted.length, { ...options, into: wanted })).length
  }

  /** From memory, for a reader that keeps up: as much of what was stored last as `into` holds; 0 if it is not there. */
  #copyLatest(into: Buffer, position: number): number {
    if (this.#latest === undefined || position < this.#latest.start) return 0
    let copied = 0
    let start = this.#latest.start
    for (const piece of this.#latest.batch) {
      const from = position + copied - start
      if (from < piece.length && copied < into.length) {
        const part = piece.subarray(from, from + into.length - copied)
        into.set(part, copied)
        copied += part.length
      }
      start += piece.length
    }
    return copied
  }

  #bytesReadable(): number {
    const stored = this.bytesStored
    if (this.#isVerified) return stored
    if (this.#failure !== undefined) throw this.#failure.error
    return Math.max(0, this.#size === undefined ? stored - 1 : Math.min(stored, this.#size - 1))
  }

  #attach(): void {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#isReleased) throw new TypeError(`Cannot read fill of "${this.#deps.digest}": it is over`)
    this.#readers++
  }

  async #detach(): Promise<void> {
    this.#readers--
    await this.#releaseIfUnused()
  }

  /** Never rejects, as nobody waits for it. */
  async #releaseIfUnused(): Promise<void> {
    if (!this.#hasEnded || this.#readers > 0) return
    this.#isReleased = true
    const { digest, logger, writer } = this.#deps
    try {
      await writer.release()
    } catch (err) {
      logger.warn({ err, digest }, 'cannot release the writer of a fill')
    }
  }

  async #wokenUp(signal: AbortSignal | undefined): Promise<void> {
    let resume = () => {}
    const woken = new Promise<void>(resolve => (resume = resolve))
    this.#waiting.add(resume)
    try {
      await abortable(woken, signal)
    } finally {
      this.#waiting.delete(resume)
    }
  }

  #wake(): void {
    for (const resume of this.#waiting) resume()
    this.#waiting.clear()
  }
}
