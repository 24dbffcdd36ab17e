// One blob on its way from an upstream: one transfer, many readers.
//
// The pump reads the upstream at the pace of the storage, hashes on the way, and wakes the readers; each reader reads
// what is stored so far at its own pace (streams/tail.ts), so that nobody holds up anybody. The numbered promises of
// docs/design/001-fill.md are kept like this:
//
//   1. Ask the store whether the blob is there already; then open the upstream. `opened` settles: size is known, or not.
//   2. Write and hash each batch; a body that breaks off is gone on with (transfer.ts).
//   3. Verify size and digest; only then give out the last byte. A fill that fails errs in every reader and removes its
//      file.
//   4. Make the blob durable and visible, let the claims link it to their repositories, and settle.
import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { abortable } from '../keyed-lock.ts'
import type { Logger } from '../log.ts'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, Hasher, type Digest } from '../oci/digest.ts'
import { DigestMismatchError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { BlobStore, BlobWriter } from '../storage/blob-store.ts'
import { sizeOf } from '../streams/batches.ts'
import type { ContentReader } from '../streams/content-reader.ts'
import { tail, type GrowingContent } from '../streams/tail.ts'
import { UpstreamError } from '../upstream/errors.ts'
import { transfer, type OpenUpstream, type TransferDeps } from './transfer.ts'

/** `stored`: fetched and verified. `present`: it was in the store before, nothing was fetched. */
export type FillOutcome =
  | { readonly kind: 'stored' | 'present'; readonly descriptor: Descriptor }
  | { readonly kind: 'failed'; readonly error: unknown }

export interface FillDeps {
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly logger: Logger
  readonly onProgress: (bytes: number) => void
  readonly onResume: () => void
  /** Called before anybody else hears of the outcome, so that none can join a fill that is over. */
  readonly onSettled: (outcome: FillOutcome) => void
}

export interface FillRequest {
  readonly digest: Digest
  /** The repository that it is fetched from. */
  readonly from: RepositoryName
  readonly open: OpenUpstream
  /** Bytes, where a manifest told; used if the upstream does not say. */
  readonly expectedSize?: number | undefined
  /** The last resort for a size: asks the upstream. Its failure only means that nobody knows. */
  readonly askSize?: ((signal: AbortSignal) => Promise<number>) | undefined
}

export class Fill implements GrowingContent {
  readonly digest: Digest
  readonly from: RepositoryName
  readonly startedAtMs: number
  /** Settles when the upstream's headers are in, and rejects with what it answered instead. */
  readonly opened: Promise<void>
  /** Never rejects. */
  readonly settled: Promise<FillOutcome>
  readonly #deps: FillDeps
  readonly #request: FillRequest
  readonly #stopping = new AbortController()
  readonly #claims = new Map<RepositoryName, () => Promise<void>>()
  readonly #hasher: Hasher
  #size: number | undefined
  #writer: BlobWriter | undefined
  #outcome: FillOutcome | undefined
  #wasPresent = false
  /** All bytes are stored and make the digest; whether they can be kept is another matter. */
  #isVerified = false
  #readers = 0
  /** What was stored last, for the readers that keep up: it need not be read back. */
  #latest: { readonly start: number; readonly batch: readonly Uint8Array[] } | undefined
  readonly #waiting = new Set<() => void>()

  constructor(deps: FillDeps, request: FillRequest) {
    this.#deps = deps
    this.#request = request
    this.digest = request.digest
    this.from = request.from
    this.#hasher = new Hasher(algorithmOf(request.digest))
    this.startedAtMs = deps.clock.now()
    let onOpened = () => {}
    let onFailed: (reason: unknown) => void = () => {}
    this.opened = new Promise((resolve, reject) => {
      onOpened = resolve
      onFailed = reject
    })
    this.opened.catch(() => {}) // Whoever joined hears of it; nobody may have.
    this.settled = this.#run(onOpened)
      .catch((error: unknown): FillOutcome => ({ kind: 'failed', error }))
      .then(async outcome => {
        if (outcome.kind === 'stored') for (const [name, link] of this.#claims) await this.#link(name, link)
        this.#outcome = outcome // In the same turn as the last claim was seen: none comes between.
        deps.onSettled(outcome)
        if (outcome.kind === 'failed') onFailed(outcome.error)
        else onOpened()
        this.#wake()
        this.#latest = undefined
        await this.#releaseIfUnused()
        return outcome
      })
  }

  /** Bytes of the whole blob; undefined while nobody has said. Known for sure once the fill has settled. */
  get size(): number | undefined {
    return this.#size
  }

  get bytesStored(): number {
    return this.#writer?.bytesWritten ?? 0
  }

  /** Whether nothing had to be fetched; known once `opened` has settled. */
  get wasPresent(): boolean {
    return this.#wasPresent
  }

  isClaimedBy(name: RepositoryName): boolean {
    return this.#claims.has(name)
  }

  /** Has the blob linked to a repository before its last byte goes out; to be called before the fill has settled. */
  claim(name: RepositoryName, link: () => Promise<void>): void {
    if (!this.#claims.has(name)) this.#claims.set(name, link)
  }

  /**
   * A stream over the blob or a part of it: what is stored now, then the rest as it comes. Throws what the fill has
   * failed with. Once it has settled the store is read as for any other blob.
   */
  async read(range?: ByteRange, options: CallOptions = {}): Promise<Readable> {
    options.signal?.throwIfAborted()
    if (this.#outcome?.kind === 'failed') throw this.#outcome.error
    if (this.#outcome !== undefined) return this.#deps.blobs.read(this.digest, range, options)
    this.#readers++
    const onClose = () => {
      this.#readers--
      void this.#releaseIfUnused()
    }
    return tail(this, { start: range?.start ?? 0, end: range?.end }, { ...options, onClose })
  }

  /** Like read(), but by position; for content whose size is known and a store that can do so, too. */
  async openReader(options: CallOptions = {}): Promise<ContentReader> {
    options.signal?.throwIfAborted()
    const { blobs } = this.#deps
    if (this.#size === undefined || blobs.openReader === undefined)
      throw new TypeError('Cannot read by position')
    if (this.#outcome?.kind === 'failed') throw this.#outcome.error
    if (this.#outcome !== undefined) return blobs.openReader(this.digest, options)
    this.#readers++
    let isOpen = true
    return {
      size: this.#size,
      readInto: (into, position, opts) => this.#readInto(into, position, opts),
      close: async () => {
        if (isOpen) this.#readers--
        isOpen = false
        await this.#releaseIfUnused()
      },
    }
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
    const writer = this.#writer
    if (writer?.readWritten === undefined)
      throw new TypeError(`Cannot read fill of "${this.digest}": not readable`)
    return writer.readWritten(position, maxBytes, options)
  }

  /** Ends the transfer at once; readers err. */
  stop(reason: Error): void {
    this.#stopping.abort(reason)
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

  /**
   * The last byte is withheld until everything is verified, so that a bad body can only ever end short. From then on
   * readers get it all: they need not wait until it is flushed to disk, and a full disk is none of their business.
   */
  #bytesReadable(): number {
    const stored = this.bytesStored
    if (this.#isVerified) return stored
    if (this.#outcome?.kind === 'failed') throw this.#outcome.error
    return Math.max(0, this.#size === undefined ? stored - 1 : Math.min(stored, this.#size - 1))
  }

  async #run(opened: () => void): Promise<FillOutcome> {
    const present = await this.#deps.blobs.find(this.digest)
    if (present !== undefined) {
      this.#size = present.size
      this.#wasPresent = true
      return { kind: 'present', descriptor: present }
    }
    const { signal } = this.#stopping
    const first = await this.#request.open(0, signal)
    try {
      this.#size =
        first.size ??
        this.#request.expectedSize ??
        (await this.#request.askSize?.(signal).catch(() => undefined))
      this.#writer = await this.#deps.blobs.create({ signal })
      opened()
    } catch (err) {
      await first.dispose()
      throw err
    }
    try {
      await transfer(first, this.#transferDeps(this.#writer), signal)
      const found = this.#hasher.digest()
      if (found !== this.digest) throw wrongContent(this.digest, found)
      this.#size = this.#writer.bytesWritten
      this.#isVerified = true
      this.#wake()
      const descriptor = await this.#writer.commit(this.digest, found, { signal })
      return { kind: 'stored', descriptor }
    } finally {
      await this.#clearUp(this.#writer)
    }
  }

  #transferDeps(writer: BlobWriter): TransferDeps {
    const { clock, logger, onProgress, onResume } = this.#deps
    return {
      digest: this.digest,
      size: this.#size,
      open: this.#request.open,
      writer,
      hasher: this.#hasher,
      clock,
      logger,
      onBatch: (start, batch) => {
        this.#latest = { start, batch }
        onProgress(sizeOf(batch))
        this.#wake()
      },
      onResume,
    }
  }

  /** Never rejects: the blob itself is fine, and the next request links it again. */
  async #link(name: RepositoryName, link: () => Promise<void>): Promise<void> {
    try {
      await link()
    } catch (err) {
      this.#deps.logger.error({ err, digest: this.digest, repository: name }, 'cannot link a mirrored blob')
    }
  }

  /** Never rejects: it must not hide why the fill has failed, nor fail one that has not. */
  async #clearUp(writer: BlobWriter): Promise<void> {
    try {
      await writer.cancel()
    } catch (err) {
      this.#deps.logger.warn({ err, digest: this.digest }, 'cannot clear up after a fill')
    }
  }

  /** Never rejects, as nobody waits for it. */
  async #releaseIfUnused(): Promise<void> {
    if (this.#outcome === undefined || this.#readers > 0) return
    try {
      await this.#writer?.release()
    } catch (err) {
      this.#deps.logger.warn({ err, digest: this.digest }, 'cannot release the writer of a fill')
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

function wrongContent(digest: Digest, found: Digest): UpstreamError {
  const cause = new DigestMismatchError(digest, found)
  return new UpstreamError(
    'invalid',
    'upstream',
    `Cannot accept blob "${digest}": its content is "${found}"`,
    { cause },
  )
}
