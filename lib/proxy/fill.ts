// One blob on its way from an upstream: one transfer, many readers.
//
// The pump reads the upstream at the pace of the storage, hashes on the way, and wakes the readers; each reader reads
// what is stored so far at its own pace (growing-blob.ts), so that nobody holds up anybody. The numbered promises of
// docs/design/001-fill.md are kept like this:
//
//   1. Ask the store whether the blob is there already; then open the upstream, behind what an earlier fill has kept
//      of the blob if there is something. `opened` settles: size is known, or not.
//   2. Write and hash each batch; a body that breaks off is gone on with (transfer.ts).
//   3. Verify size and digest; only then give out the last byte. A fill that fails errs in every reader; what it has is
//      kept for the next one where only the upstream was in the way, else removed. If what was kept before turns out to
//      be wrong, its readers err and the blob is fetched once from its beginning.
//   4. Ask whether there is room. Make the blob durable and visible, let the claims link it to their repositories, and
//      settle; or, without room, settle and let the readers that are there read on (docs/design/007-partial-fills.md).
import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, Hasher, type Digest } from '../oci/digest.ts'
import { BlobUnknownError, DigestMismatchError } from '../oci/errors.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { PartialFills } from '../storage/partial-fills.ts'
import type { BlobWriter } from '../storage/staged-blobs.ts'
import { sizeOf } from '../streams/batches.ts'
import type { ContentReader } from '../streams/content-reader.ts'
import { UpstreamError } from '../upstream/errors.ts'
import { beginWhole, beginWithRest, type Beginning, type FillRequest } from './beginning.ts'
import { GrowingBlob } from './growing-blob.ts'
import type { Keeping } from './keeping.ts'
import { transfer, type TransferDeps } from './transfer.ts'

/**
 * `stored`: fetched and verified. `passed`: the same, but there was no room to keep it. `present`: it was in the store
 * before, nothing was fetched.
 */
export type FillOutcome =
  | { readonly kind: 'stored' | 'passed' | 'present'; readonly descriptor: Descriptor }
  | { readonly kind: 'failed'; readonly error: unknown }

export interface FillDeps {
  readonly blobs: BlobStore
  readonly keeping: Pick<Keeping, 'makeRoom' | 'release'>
  /** Undefined: nothing is kept of a fill that fails. */
  readonly partials: PartialFills | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly onProgress: (bytes: number) => void
  readonly onResume: () => void
  /** Called before anybody else hears of the outcome, so that none can join a fill that is over. */
  readonly onSettled: (outcome: FillOutcome) => void
}

/** A repository that may read the blob. */
export interface Claim {
  readonly name: RepositoryName
  /** Links the blob to it. */
  link(): Promise<void>
  /** A push needs the blob: it is kept whether there is room or not, and is not the mirror's to remove. */
  readonly pushed?: boolean | undefined
}

export class Fill {
  readonly digest: Digest
  readonly from: RepositoryName
  readonly upstream: string
  readonly startedAtMs: number
  /** Settles when the upstream's headers are in, and rejects with what it answered instead. */
  readonly opened: Promise<void>
  /** Never rejects. */
  readonly settled: Promise<FillOutcome>
  readonly #deps: FillDeps
  readonly #request: FillRequest
  readonly #stopping = new AbortController()
  readonly #claims = new Map<RepositoryName, Claim>()
  #growing: GrowingBlob | undefined
  #outcome: FillOutcome | undefined
  #presentSize: number | undefined
  #isPushed = false
  #bytesFetched = 0
  #resumes = 0

  constructor(deps: FillDeps, request: FillRequest) {
    this.#deps = deps
    this.#request = request
    this.digest = request.digest
    this.from = request.from
    this.upstream = request.upstream
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
        if (outcome.kind === 'stored') for (const claim of this.#claims.values()) await this.#link(claim)
        this.#outcome = outcome // In the same turn as the last claim was seen: none comes between.
        deps.onSettled(outcome)
        if (outcome.kind === 'failed') {
          onFailed(outcome.error)
          this.#growing?.fail(outcome.error)
        } else onOpened()
        await this.#growing?.end()
        return outcome
      })
  }

  /** Bytes of the whole blob; undefined while nobody has said. Known for sure once the fill has settled. */
  get size(): number | undefined {
    return this.#presentSize ?? this.#growing?.size
  }

  /** What an earlier fill has kept is among them. */
  get bytesStored(): number {
    return this.#growing?.bytesStored ?? 0
  }

  /** Bytes that came from the upstream. */
  get bytesFetched(): number {
    return this.#bytesFetched
  }

  /** How often it was gone on with. */
  get resumes(): number {
    return this.#resumes
  }

  get readers(): number {
    return this.#growing?.readers ?? 0
  }

  /** Whether nothing had to be fetched; known once `opened` has settled. */
  get wasPresent(): boolean {
    return this.#presentSize !== undefined
  }

  isClaimedBy(name: RepositoryName): boolean {
    return this.#claims.has(name)
  }

  /** Has the blob linked to a repository before its last byte goes out; to be called before the fill has settled. */
  claim(claim: Claim): void {
    if (!this.#claims.has(claim.name)) this.#claims.set(claim.name, claim)
    if (claim.pushed) this.#isPushed = true
  }

  /**
   * A stream over the blob or a part of it: what is stored now, then the rest as it comes. Throws what the fill has
   * failed with. Once it has settled the store is read as for any other blob; undefined if nothing of it was kept.
   */
  async read(range?: ByteRange, options: CallOptions = {}): Promise<Readable | undefined> {
    options.signal?.throwIfAborted()
    const { blobs } = this.#deps
    if (this.#outcome?.kind === 'failed') throw this.#outcome.error
    if (this.#isInStore) return ifKept(() => blobs.read(this.digest, range, options))
    return this.#whileHeld()?.read(range, options)
  }

  /** Like read(), but by position; for content whose size is known and a store that can do so, too. */
  async openReader(options: CallOptions = {}): Promise<ContentReader | undefined> {
    options.signal?.throwIfAborted()
    const { openReader } = this.#deps.blobs
    if (this.size === undefined || openReader === undefined) throw new TypeError('Cannot read by position')
    if (this.#outcome?.kind === 'failed') throw this.#outcome.error
    if (this.#isInStore) return ifKept(() => openReader(this.digest, options))
    return this.#whileHeld()?.openReader()
  }

  /** Ends the transfer at once; readers err. */
  stop(reason: Error): void {
    this.#stopping.abort(reason)
  }

  get #isInStore(): boolean {
    return this.#outcome?.kind === 'stored' || this.#outcome?.kind === 'present'
  }

  /** What was not kept can be read while somebody reads it. */
  #whileHeld(): GrowingBlob | undefined {
    const growing = this.#growing
    if (growing === undefined) throw new TypeError(`Cannot read fill of "${this.digest}": it has not begun`)
    return this.#outcome?.kind === 'passed' && growing.isReleased ? undefined : growing
  }

  async #run(opened: () => void): Promise<FillOutcome> {
    const present = await this.#deps.blobs.find(this.digest)
    if (present !== undefined) {
      this.#presentSize = present.size
      return { kind: 'present', descriptor: present }
    }
    const { blobs, logger, partials } = this.#deps
    const deps = { request: this.#request, blobs, partials, logger }
    const { signal } = this.#stopping
    const rest = await beginWithRest(deps, signal)
    if (rest !== undefined) this.#countResume()
    const outcome = rest && (await this.#fetch(rest, opened))
    if (outcome !== undefined) return outcome
    const whole = await this.#fetch(await beginWhole(deps, signal), opened)
    if (whole === undefined) throw new TypeError('A fill from the beginning has nothing to go back to')
    return whole
  }

  /** The transfer and what follows from it; undefined if what was kept before has turned out to be wrong. */
  async #fetch({ body, writer, size }: Beginning, opened: () => void): Promise<FillOutcome | undefined> {
    const { logger } = this.#deps
    const wasKept = writer.bytesWritten > 0
    const growing = new GrowingBlob({ digest: this.digest, writer, size, logger })
    this.#growing = growing
    opened()
    try {
      const hasher = new Hasher(algorithmOf(this.digest))
      await transfer(body, this.#transferDeps(writer, hasher, growing), this.#stopping.signal)
      const found = hasher.digest()
      if (found !== this.digest) throw wrongContent(this.digest, found)
      growing.verify()
      return await this.#conclude(writer)
    } catch (err) {
      if (isInvalid(err)) this.#request.distrust?.()
      if (wasKept && isInvalid(err)) {
        logger.warn({ err, digest: this.digest }, 'what was kept of a blob is wrong, fetching it anew')
        growing.fail(err)
        await growing.end()
        return undefined
      }
      if (this.#isWorthKeeping(err)) await this.#keep(writer)
      throw err
    } finally {
      await this.#discard(writer)
    }
  }

  /** Everything is verified, and the readers have it. */
  async #conclude(writer: BlobWriter): Promise<FillOutcome> {
    const { keeping } = this.#deps
    const { digest } = this
    const { signal } = this.#stopping
    const size = writer.bytesWritten
    try {
      const hasRoom = this.#isPushed || (await keeping.makeRoom(size, { digest, signal }))
      // Somebody may have pushed what needs it while room was looked for.
      if (!hasRoom && !this.#isPushed)
        return { kind: 'passed', descriptor: { mediaType: mediaTypes.octetStream, digest, size } }
      const mirrored = this.#isPushed ? undefined : this.from
      return { kind: 'stored', descriptor: await writer.commit(digest, digest, { signal, mirrored }) }
    } finally {
      keeping.release(digest)
    }
  }

  #transferDeps(writer: BlobWriter, hasher: Hasher, growing: GrowingBlob): TransferDeps {
    const { clock, logger, onProgress } = this.#deps
    return {
      digest: this.digest,
      size: growing.size,
      open: this.#request.open,
      writer,
      hasher,
      clock,
      logger,
      onBatch: (start, batch) => {
        const bytes = sizeOf(batch)
        this.#bytesFetched += bytes
        growing.grew(start, batch)
        onProgress(bytes)
      },
      onResume: () => this.#countResume(),
    }
  }

  #countResume(): void {
    this.#resumes++
    this.#deps.onResume()
  }

  /** The bytes are as good as their source: where only that was in the way, the next fill may go on with them. */
  #isWorthKeeping(err: unknown): boolean {
    if (this.#stopping.signal.aborted) return true
    return err instanceof UpstreamError && err.failure !== 'invalid'
  }

  /** Never rejects: it must not hide why the fill has failed. */
  async #keep(writer: BlobWriter): Promise<void> {
    try {
      await this.#deps.partials?.keep(writer)
    } catch (err) {
      this.#deps.logger.warn({ err, digest: this.digest }, 'cannot keep what there is of a blob')
    }
  }

  /** Never rejects: the blob itself is fine, and the next request links it again. */
  async #link({ name, link }: Claim): Promise<void> {
    try {
      await link()
    } catch (err) {
      this.#deps.logger.error({ err, digest: this.digest, repository: name }, 'cannot link a mirrored blob')
    }
  }

  /** Never rejects: it must not hide why the fill has failed, nor fail one that has not. Nothing after a commit. */
  async #discard(writer: BlobWriter): Promise<void> {
    try {
      await writer.cancel()
    } catch (err) {
      this.#deps.logger.warn({ err, digest: this.digest }, 'cannot clear up after a fill')
    }
  }
}

/** Undefined if it is gone already: a store without much room may have given it up for something else. */
async function ifKept<T>(open: () => Promise<T>): Promise<T | undefined> {
  try {
    return await open()
  } catch (err) {
    if (err instanceof BlobUnknownError) return undefined
    throw err
  }
}

function isInvalid(err: unknown): boolean {
  return err instanceof UpstreamError && err.failure === 'invalid'
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
