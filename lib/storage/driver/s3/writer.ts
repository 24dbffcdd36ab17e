// A writer over part objects (keys.ts). Two parts are in memory at most: one that fills, and one that is under way. What
// is less than a part when the writer is closed becomes the last one, which the next writer takes back and writes
// again, longer. So all that a process leaves, however it ends, is in the bucket and says what it is.
//
// A file that ends before its first part is full is stored by commit() as what it is: one object.
import type { CallOptions } from '../../../oci/descriptor.ts'
import { PathNotFoundError, StorageError, type FileWriter, type StoragePath } from '../driver.ts'
import type { Bucket } from './bucket.ts'
import { committedKey, partKey } from './keys.ts'
import type { MultipartCopies } from './multipart.ts'
import { findStaged } from './staged.ts'

/** What every part but the last has to have, for the server to make one object of them. */
const smallestPart = 5 * 1024 * 1024
const largestPart = 5 * 1024 * 1024 * 1024
/** S3 takes 10,000 parts: after each so many they get longer. */
const partsOfOneSize = 2000

export interface WriterDeps {
  readonly bucket: Bucket
  readonly copies: MultipartCopies
  /** Removes a file in all its forms. */
  removeFile(key: string): Promise<void>
}

interface Opened {
  readonly key: string
  readonly path: StoragePath
  /** An object of its own, as commit() leaves it. */
  readonly isPlain: boolean
  /** Parts that stay as they are. */
  readonly parts: number
  /** Where the next part begins, and what it holds so far. */
  readonly offset: number
  readonly content: Buffer
  /** Whether that is stored. */
  readonly isStored: boolean
}

export class S3Writer implements FileWriter {
  readonly #deps: WriterDeps
  readonly #key: string
  readonly #path: StoragePath
  #isPlain: boolean
  /** Whether there are part objects, be it only a shorter form of what is in memory. */
  #hasParts: boolean
  #parts: number
  #offset: number
  #content: Filling
  /** Whether all of it is in the bucket. */
  #isStored: boolean
  #state: 'writing' | 'committed' | 'closed' | 'cancelled' = 'writing'
  #isReleased = false
  #sending: Promise<void> | undefined
  #failure: Error | undefined
  readonly #abandoned = new AbortController()

  private constructor(deps: WriterDeps, opened: Opened) {
    this.#deps = deps
    this.#key = opened.key
    this.#path = opened.path
    this.#isPlain = opened.isPlain
    this.#hasParts = opened.isStored && !opened.isPlain
    this.#parts = opened.parts
    this.#offset = opened.offset
    this.#content = new Filling(opened.content)
    this.#isStored = opened.isStored
  }

  static async open(
    deps: WriterDeps,
    key: string,
    { append = false, ...options }: CallOptions & { readonly append?: boolean },
  ): Promise<S3Writer> {
    const path = deps.bucket.pathOf(key)
    const fresh = {
      key,
      path,
      isPlain: false,
      parts: 0,
      offset: 0,
      content: Buffer.alloc(0),
      isStored: false,
    }
    options.signal?.throwIfAborted()
    if (append) return new S3Writer(deps, { ...fresh, ...(await stored(deps.bucket, key, options)) })
    await deps.removeFile(key)
    return new S3Writer(deps, fresh)
  }

  get bytesWritten(): number {
    return this.#offset + this.#content.length
  }

  async write(content: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#mustBeWriting('write')
    for (const chunk of content instanceof Uint8Array ? [content] : content) {
      if (chunk.length === 0) continue
      if (this.#isPlain) await this.#toParts()
      for (let rest = chunk; rest.length > 0;) {
        const room = this.#partBytes() - this.#content.length
        this.#content.add(rest.subarray(0, room))
        this.#isStored = false
        rest = rest.subarray(room)
        if (this.#content.length === this.#partBytes()) await this.#send()
      }
    }
  }

  async commit(): Promise<void> {
    if (this.#state === 'committed') return
    this.#mustBeWriting('commit')
    const { bucket } = this.#deps
    if (!this.#isPlain) {
      if (!this.#hasParts) await bucket.put(this.#key, this.#content.bytes(), { isStaged: true })
      else {
        await this.#store()
        await bucket.put(committedKey(this.#key), Buffer.alloc(0), { isStaged: true })
      }
    }
    this.#state = 'committed'
  }

  async close(): Promise<void> {
    if (this.#state !== 'writing') return
    try {
      if (!this.#isPlain) await this.#store()
      this.#state = 'closed'
    } catch (err) {
      // Others have been told of more bytes than there are now: nothing may build on them.
      await this.cancel().catch(() => {})
      throw err
    }
  }

  async cancel(): Promise<void> {
    if (this.#state !== 'writing') return
    this.#state = 'cancelled'
    this.#abandoned.abort()
    await this.#sending
    await this.#deps.removeFile(this.#key)
  }

  async release(): Promise<void> {
    this.#isReleased = true
    await this.#sending
  }

  #partBytes(): number {
    const { chunkBytes } = this.#deps.bucket.config
    return Math.min(largestPart, chunkBytes * (1 + Math.floor(this.#parts / partsOfOneSize)))
  }

  /** Begins to send the part that is full, when the one before has gone. */
  async #send(): Promise<void> {
    await this.#sent()
    const [key, bytes] = [partKey(this.#key, this.#offset), this.#content.bytes()]
    this.#offset += bytes.length
    this.#parts++
    this.#content = new Filling(Buffer.alloc(0))
    this.#isStored = true
    this.#hasParts = true
    const { bucket } = this.#deps
    this.#sending = bucket
      .put(key, bytes, { isStaged: true, signal: this.#abandoned.signal })
      .catch((err: unknown) => {
        this.#failure ??= err instanceof Error ? err : new Error('Cannot write', { cause: err })
      })
      .finally(() => (this.#sending = undefined))
  }

  async #sent(): Promise<void> {
    await this.#sending
    if (this.#failure !== undefined) throw this.#failure
  }

  /** All of it, the last part included, be it empty: an empty file is one, too. */
  async #store(): Promise<void> {
    await this.#sent()
    if (this.#isStored) return
    const key = partKey(this.#key, this.#offset)
    await this.#deps.bucket.put(key, this.#content.bytes(), { isStaged: true })
    this.#isStored = true
    this.#hasParts = true
  }

  /** What was committed is written to after all. */
  async #toParts(): Promise<void> {
    const { bucket, copies } = this.#deps
    const size = this.#offset
    const stale = await bucket.entries(`${this.#key}/`)
    await bucket.delete(stale.map(({ key }) => key))
    await copies.copy(this.#key, size, partKey(this.#key, 0), { isStaged: true })
    await bucket.delete([this.#key])
    const { content, offset, parts } = await tailOf(
      bucket,
      [{ key: partKey(this.#key, 0), offset: 0, size }],
      size,
    )
    this.#content = new Filling(content)
    this.#offset = offset
    this.#parts = parts
    this.#hasParts = true
    this.#isPlain = false
  }

  #mustBeWriting(action: string): void {
    if (this.#isReleased)
      throw new StorageError(`Cannot ${action} "${this.#path}": writer is released`, this.#path)
    if (this.#state !== 'writing')
      throw new StorageError(`Cannot ${action} "${this.#path}": writer is ${this.#state}`, this.#path)
    if (this.#failure !== undefined) throw this.#failure
  }
}

async function stored(bucket: Bucket, key: string, options: CallOptions): Promise<Partial<Opened>> {
  const [plain, staged] = await Promise.all([bucket.head(key, options), findStaged(bucket, key, options)])
  if (plain !== undefined) return { isPlain: true, offset: plain.size, isStored: true }
  if (staged === undefined) throw new PathNotFoundError(bucket.pathOf(key))
  return { ...(await tailOf(bucket, staged.parts, staged.size, options)), isStored: true }
}

/** The last part is taken back where it is too short to stay. */
async function tailOf(
  bucket: Bucket,
  parts: readonly { readonly key: string; readonly offset: number; readonly size: number }[],
  size: number,
  options: CallOptions = {},
): Promise<Pick<Opened, 'content' | 'offset' | 'parts'>> {
  const tail = parts.at(-1)
  if (tail === undefined || tail.size >= smallestPart)
    return { content: Buffer.alloc(0), offset: size, parts: parts.length }
  return { content: await bucket.getAll(tail.key, options), offset: tail.offset, parts: parts.length - 1 }
}

/** Bytes that come in chunks, in one buffer that grows by doubling. */
class Filling {
  #buffer: Buffer
  length: number

  constructor(content: Buffer) {
    this.#buffer = content
    this.length = content.length
  }

  add(chunk: Uint8Array): void {
    const needed = this.length + chunk.length
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2, 16 * 1024))
      this.#buffer.copy(larger, 0, 0, this.length)
      this.#buffer = larger
    }
    this.#buffer.set(chunk, this.length)
    this.length = needed
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }
}
