// Upload sessions. A session lives on storage (its start time and its bytes), so that it survives a restart and may go
// on in another process; what we keep in memory is its running hash, which Node cannot store. Where that is missing
// the hash is made again from the bytes, once, when the session completes: see rehash().
//
// A session exists while its `startedat` file does. Its bytes are appended in place; only after their digest is
// verified and they are flushed does the file move to where the digest names it. Sessions that nobody finishes are
// removed by maintenance/purge-uploads.ts.
import type { Readable } from 'node:stream'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, Hasher, type Digest, type DigestAlgorithm } from '../oci/digest.ts'
import { DigestMismatchError, RegistryError, SizeMismatchError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { createUploadId, isUploadId, type UploadId } from '../oci/upload-id.ts'
import { batches } from '../streams/batches.ts'
import type { BlobStore } from './blob-store.ts'
import { PathNotFoundError, type FileWriter, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { baseName, layout } from './layout.ts'
import type { Links } from './links.ts'
import type { RecentUses } from './recent-uses.ts'

export interface UploadsDeps {
  readonly driver: StorageDriver
  readonly blobs: BlobStore
  readonly links: Links
  readonly clock: Clock
  /** Undefined only over a tree that no collection runs on in this process. */
  readonly uses?: Pick<RecentUses, 'during'> | undefined
  /** How many sessions' hashes are kept in memory. */
  readonly maxLiveSessions?: number
}

interface LiveSession {
  readonly startedAtMs: number
  readonly hasher: Hasher
}

/** The upload sessions of all repositories. */
export class Uploads {
  readonly #deps: UploadsDeps
  readonly #locks = new KeyedLock()
  readonly #live: LRUCache<UploadId, LiveSession>

  constructor(deps: UploadsDeps) {
    this.#deps = deps
    this.#live = new LRUCache({ max: deps.maxLiveSessions ?? 10_000 })
  }

  /** `algorithm` is of the digest that the session will be completed with; with another one its bytes are read again. */
  async start(
    name: RepositoryName,
    { algorithm, ...options }: CallOptions & { readonly algorithm?: DigestAlgorithm | undefined } = {},
  ): Promise<Upload> {
    const { clock, driver } = this.#deps
    const id = createUploadId()
    const startedAtMs = Math.floor(clock.now() / 1000) * 1000
    const text = new Date(startedAtMs).toISOString().replace('.000Z', 'Z')
    await driver.writeAll(layout.uploadStartedAt(name, id), Buffer.from(text), { ...options, durable: false })
    this.#live.set(id, { startedAtMs, hasher: new Hasher(algorithm) })
    return this.#session(name, id, startedAtMs, 0)
  }

  /** RegistryError BLOB_UPLOAD_UNKNOWN. */
  async resume(name: RepositoryName, id: UploadId, options?: CallOptions): Promise<Upload> {
    const startedAtMs = await this.#startedAtMs(name, id, options)
    return this.#session(name, id, startedAtMs, await this.#offset(name, id, options))
  }

  async list(name: RepositoryName, options?: CallOptions): Promise<readonly UploadId[]> {
    const paths = await unlessAbsent(() => this.#deps.driver.list(layout.uploads(name), options))
    return (paths ?? []).map(baseName).filter(isUploadId)
  }

  /**
   * Removes a session that was started before `beforeMs` and not written to since; returns whether it is one. One that
   * somebody works on in this process stays. RegistryError BLOB_UPLOAD_UNKNOWN if it has no start: that stays, too.
   */
  async removeIfStale(
    name: RepositoryName,
    id: UploadId,
    beforeMs: number,
    { dryRun, ...options }: CallOptions & { readonly dryRun: boolean },
  ): Promise<boolean> {
    if (this.#locks.isBusy(id)) return false
    return this.#locks.run(id, async () => {
      if ((await this.#lastUseMs(name, id, options)) >= beforeMs) return false
      if (dryRun) return true
      this.#live.delete(id)
      await this.#deps.driver.remove(layout.upload(name, id), options)
      return true
    })
  }

  /** When it was started or written to, whichever was later. */
  async #lastUseMs(name: RepositoryName, id: UploadId, options: CallOptions): Promise<number> {
    const startedAtMs = await this.#startedAtMs(name, id, options)
    try {
      const { modifiedAtMs } = await this.#deps.driver.stat(layout.uploadContent(name, id), options)
      return Math.max(startedAtMs, modifiedAtMs)
    } catch (err) {
      if (err instanceof PathNotFoundError) return startedAtMs
      throw err
    }
  }

  /** Only looks, without the session's lock: an append() that runs for minutes must not hold up who asks. */
  async #offset(name: RepositoryName, id: UploadId, options?: CallOptions): Promise<number> {
    let writer: FileWriter
    try {
      writer = await this.#deps.driver.openWriter(layout.uploadContent(name, id), {
        ...options,
        append: true,
        readBack: false,
      })
    } catch (err) {
      if (err instanceof PathNotFoundError) return 0
      throw err
    }
    await finish(writer)
    return writer.bytesWritten
  }

  #session(name: RepositoryName, id: UploadId, startedAtMs: number, offset: number): Upload {
    const deps: SessionDeps = {
      ...this.#deps,
      exclusively: (work, options) => this.#locks.run(id, work, options),
      openWriter: options => this.#openWriter(name, id, options),
      hasher: () => this.#live.get(id)?.hasher,
      forget: () => void this.#live.delete(id),
    }
    return new Upload(deps, name, id, startedAtMs, offset)
  }

  async #startedAtMs(name: RepositoryName, id: UploadId, options?: CallOptions): Promise<number> {
    try {
      const text = (await this.#deps.driver.readAll(layout.uploadStartedAt(name, id), options)).toString()
      const startedAtMs = Date.parse(text)
      return Number.isNaN(startedAtMs) ? this.#deps.clock.now() : startedAtMs
    } catch (err) {
      if (err instanceof PathNotFoundError) throw unknownUpload(id, err)
      throw err
    }
  }

  /** Where the session's bytes end; a session that has none yet gets its file. Only for who has the session's lock. */
  async #openWriter(name: RepositoryName, id: UploadId, options?: CallOptions): Promise<FileWriter> {
    const { driver } = this.#deps
    const path = layout.uploadContent(name, id)
    try {
      return await driver.openWriter(path, { ...options, append: true, readBack: false })
    } catch (err) {
      if (!(err instanceof PathNotFoundError)) throw err
      await this.#startedAtMs(name, id, options)
      return driver.openWriter(path, { ...options, readBack: false })
    }
  }
}

interface SessionDeps extends UploadsDeps {
  exclusively<T>(work: () => Promise<T>, options?: CallOptions): Promise<T>
  openWriter(options?: CallOptions): Promise<FileWriter>
  hasher(): Hasher | undefined
  forget(): void
}

/** One session, as registry/registry.ts describes it. */
export class Upload {
  readonly id: UploadId
  readonly startedAtMs: number
  readonly #deps: SessionDeps
  readonly #name: RepositoryName
  #offset: number

  constructor(deps: SessionDeps, name: RepositoryName, id: UploadId, startedAtMs: number, offset: number) {
    this.#deps = deps
    this.#name = name
    this.id = id
    this.startedAtMs = startedAtMs
    this.#offset = offset
  }

  get offset(): number {
    return this.#offset
  }

  async append(
    body: Readable,
    at: number,
    options: CallOptions & { readonly sizeBytes?: number | undefined } = {},
  ): Promise<number> {
    return this.#deps.exclusively(async () => {
      const writer = await this.#deps.openWriter(options)
      try {
        this.#offset = writer.bytesWritten
        if (at !== this.#offset) throw outOfOrder(this.id, at, this.#offset)
        await this.#receive(body, writer, options)
      } finally {
        await finish(writer)
        this.#offset = writer.bytesWritten
      }
      const received = this.#offset - at
      if (options.sizeBytes !== undefined && received !== options.sizeBytes) {
        throw new SizeMismatchError(options.sizeBytes, received)
      }
      return this.#offset
    }, options)
  }

  async #receive(body: Readable, writer: FileWriter, options: CallOptions): Promise<void> {
    const live = this.#deps.hasher()
    const hasher = live?.bytesHashed === writer.bytesWritten ? live : undefined
    try {
      for await (const batch of batches(body, options)) {
        const written = writer.write(batch, options)
        hasher?.update(batch)
        await written
      }
    } finally {
      // A hash over bytes of which not all were stored would vouch for whatever is put in their place.
      if (live?.bytesHashed !== writer.bytesWritten) this.#deps.forget()
    }
  }

  async complete(digest: Digest, options?: CallOptions): Promise<Descriptor> {
    const { blobs, links, driver, forget } = this.#deps
    const path = layout.uploadContent(this.#name, this.id)
    return this.#deps.exclusively(async () => {
      const writer = await this.#deps.openWriter(options)
      try {
        this.#offset = writer.bytesWritten
        const found = await this.#digest(path, algorithmOf(digest), writer.bytesWritten, options)
        if (found !== digest) throw new DigestMismatchError(digest, found)
        await writer.commit()
      } finally {
        await finish(writer)
      }
      forget()
      const store = async () => {
        const stored = await blobs.adopt(path, digest, this.#offset, options)
        // It is stored: no signal ends this half-way any more, or a second attempt would find a session without bytes.
        await links.link(this.#name, 'layer', digest)
        return stored
      }
      const descriptor = await (this.#deps.uses?.during(store) ?? store())
      await driver.remove(layout.upload(this.#name, this.id))
      return descriptor
    }, options)
  }

  async cancel(): Promise<void> {
    await this.#deps.exclusively(async () => {
      this.#deps.forget()
      await this.#deps.driver.remove(layout.upload(this.#name, this.id))
    })
  }

  async #digest(
    path: StoragePath,
    algorithm: DigestAlgorithm,
    sizeBytes: number,
    options?: CallOptions,
  ): Promise<Digest> {
    const live = this.#deps.hasher()
    if (live?.algorithm === algorithm && live.bytesHashed === sizeBytes) return live.digest()
    return rehash(this.#deps.driver, path, algorithm, options)
  }
}

/** Leaves the file for a later append, or, if it was committed, as it is. */
async function finish(writer: FileWriter): Promise<void> {
  try {
    await writer.close()
  } finally {
    await writer.release()
  }
}

/** Reads a whole file to hash it: the price of a session that was not received in one piece by this process. */
async function rehash(
  driver: StorageDriver,
  path: StoragePath,
  algorithm: DigestAlgorithm,
  options?: CallOptions,
): Promise<Digest> {
  const hasher = new Hasher(algorithm)
  for await (const chunk of await driver.read(path, options)) hasher.update(chunk as Buffer)
  return hasher.digest()
}

function unknownUpload(id: UploadId, cause?: unknown): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', `Cannot find upload session "${id}"`, { cause })
}

function outOfOrder(id: UploadId, at: number, offset: number): RegistryError {
  return new RegistryError(
    'RANGE_INVALID',
    `Cannot append to upload session "${id}" at ${at}: it has ${offset} bytes`,
    {
      detail: { offset },
    },
  )
}
