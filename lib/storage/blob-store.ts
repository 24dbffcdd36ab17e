// The content-addressed store over a driver: digests, but no repository and no access rule. Content is written to a
// staging path, verified and made durable there, and only then moved to the path that its digest names. What lies
// there is never written again.
//
// What comes from an upstream is stored with `mirrored`, and marked before it can be seen; all else counts as pushed,
// and is claimed before it is looked for. Only what is marked can be evicted: see mirrored-content.ts.
import type { Readable } from 'node:stream'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts'
import { BlobUnknownError, DigestMismatchError } from '../oci/errors.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { ContentReader } from '../streams/content-reader.ts'
import { noDescriptorCache, type DescriptorCache } from './descriptor-cache.ts'
import { PathNotFoundError, type FileInfo, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'
import type { MirroredContent, MirroredEntry } from './mirrored-content.ts'
import type { Marker } from './mirrored-marker.ts'
import type { RecentUses } from './recent-uses.ts'
import { stageBlob, type BlobWriter, type CommitOptions, type StageOptions } from './staged-blobs.ts'

export interface BlobStore {
  /** BlobUnknownError. */
  stat(digest: Digest, options?: CallOptions): Promise<Descriptor>
  /** What stat() tells; undefined if the blob is not there. */
  find(digest: Digest, options?: CallOptions): Promise<Descriptor | undefined>
  /** Asks the driver, whatever is remembered: the size in bytes; undefined if the blob is not there. */
  lookUp(digest: Digest, options?: CallOptions): Promise<number | undefined>
  /** A stream over the blob or a part of it, already open; the caller ends or destroys it. BlobUnknownError. */
  read(digest: Digest, range?: ByteRange, options?: CallOptions): Promise<Readable>
  /** Capability of some drivers: opens the blob to be read by position. BlobUnknownError. */
  openReader?: ((digest: Digest, options?: CallOptions) => Promise<ContentReader>) | undefined
  /** The whole of a small blob: a manifest. BlobUnknownError. */
  readAll(digest: Digest, options?: CallOptions): Promise<Buffer>
  /** Stores bytes that are in memory, under a digest of their own; nothing is written if they are there. */
  put(bytes: Uint8Array, digest: Digest, options?: PutOptions): Promise<Descriptor>
  /** A writer for content that is still arriving; see staged-blobs.ts. */
  create(options?: StageOptions): Promise<BlobWriter>
  /**
   * Takes in a complete, durable file whose content was verified to be `digest`. If the blob is there already, the
   * file is removed and the blob left as it is; one of another length was damaged, and is replaced. So is one that is
   * old and pushed again: a collection in another process goes by the age of files.
   */
  adopt(from: StoragePath, digest: Digest, sizeBytes: number, options?: CommitOptions): Promise<Descriptor>
  /** Something that was pushed needs it: it is never evicted from now on. Whether it is there is asked afterwards. */
  claim(digest: Digest, options?: CallOptions): Promise<void>
  /** Removes mirrored content that nobody reads or has claimed. The bytes that were freed; undefined: it stays. */
  evict(digest: Digest, eviction: Eviction, options?: CallOptions): Promise<number | undefined>
  /**
   * Removes content that nobody reads, if `mayGo` says so of its file: asked under the digest's lock, right before. The
   * bytes that were freed; undefined: it stays, or is not there.
   */
  removeIf(
    digest: Digest,
    mayGo: (file: FileInfo) => boolean | Promise<boolean>,
    options?: CallOptions & { readonly evenIfRead?: boolean },
  ): Promise<number | undefined>
  remove(digest: Digest, options?: CallOptions): Promise<void>
}

export interface PutOptions extends CallOptions {
  /** The bytes were fetched from an upstream; undefined: somebody pushed them. */
  readonly mirrored?: Omit<Marker, 'size'> | undefined
}

export interface Eviction {
  /** Asked under the digest's lock, and once more just before the bytes go. */
  mayGo(entry: MirroredEntry): boolean
  /** Removes all that leads to the content; false: it must stay after all. */
  unlink(entry: MirroredEntry): Promise<boolean>
}

export interface BlobStoreDeps {
  readonly driver: StorageDriver
  readonly cache?: DescriptorCache
  /** Undefined only over a tree that nothing is ever evicted from. */
  readonly mirroredContent?: MirroredContent | undefined
  /** Undefined only over a tree that no collection runs on in this process. */
  readonly uses?: Pick<RecentUses, 'touch' | 'isOld'> | undefined
}

export function createBlobStore({
  driver,
  cache = noDescriptorCache,
  mirroredContent,
  uses,
}: BlobStoreDeps): BlobStore {
  const openReader = driver.openReader?.bind(driver)

  async function exclusively<T>(digest: Digest, work: () => Promise<T>, options?: CallOptions): Promise<T> {
    return mirroredContent === undefined ? work() : mirroredContent.exclusively(digest, work, options)
  }

  async function stat(digest: Digest, options?: CallOptions): Promise<Descriptor> {
    const known = cache.size(digest)
    if (known !== undefined) return blobDescriptor(digest, known)
    const { epoch } = cache
    const file = await translating(digest, () => driver.stat(layout.blobContent(digest), options))
    return remembered(digest, file.size, epoch)
  }

  async function holds(
    digest: Digest,
    options?: CallOptions,
  ): Promise<(Descriptor & Pick<FileInfo, 'modifiedAtMs'>) | undefined> {
    const { epoch } = cache
    // The driver is asked, not the cache: a stale yes would lose the content that is about to be stored.
    const file = await unlessAbsent(() => driver.stat(layout.blobContent(digest), options))
    if (file === undefined) cache.forgetSize(digest)
    return file && { ...remembered(digest, file.size, epoch), modifiedAtMs: file.modifiedAtMs }
  }

  function remembered(digest: Digest, sizeBytes: number, since: number): Descriptor {
    cache.rememberSize(digest, sizeBytes, since)
    return blobDescriptor(digest, sizeBytes)
  }

  async function translating<T>(digest: Digest, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (err) {
      if (!(err instanceof PathNotFoundError)) throw err
      cache.forgetSize(digest)
      throw new BlobUnknownError(digest, { cause: err })
    }
  }

  async function adopt(
    from: StoragePath,
    digest: Digest,
    sizeBytes: number,
    { mirrored, ...options }: CommitOptions = {},
  ): Promise<Descriptor> {
    return storing({
      digest,
      marker: mirrored && { kind: 'blob', size: sizeBytes, repositories: [mirrored], refs: [] },
      sizeBytes,
      options,
      write: () => driver.move(from, layout.blobContent(digest), options),
      skip: () => driver.remove(from, options),
    })
  }

  /** Content becomes visible: marked or claimed first, then by `write`; if it is there already, there is only `skip`. */
  async function storing({ digest, marker, sizeBytes, options, write, skip }: Storing): Promise<Descriptor> {
    const work = async () => {
      uses?.touch(digest)
      if (marker === undefined) await mirroredContent?.unmark(digest, options)
      const present = await holds(digest, options)
      // What is there without a marker was pushed, and stays so.
      const isMirrored =
        marker !== undefined &&
        (present === undefined || (await mirroredContent?.find(digest, options)) !== undefined)
      if (isMirrored) await mirroredContent?.mark(digest, marker, options)
      if (present?.size === sizeBytes && !(marker === undefined && uses?.isOld(present.modifiedAtMs))) {
        await skip?.()
        return blobDescriptor(digest, sizeBytes)
      }
      const { epoch } = cache
      try {
        await write()
      } catch (err) {
        if (isMirrored && present === undefined) await unmarkIfAbsent(digest)
        throw err
      }
      return remembered(digest, sizeBytes, epoch)
    }
    return exclusively(digest, work, options)
  }

  /** Never rejects: a marker without content goes when the markers are next read. */
  async function unmarkIfAbsent(digest: Digest): Promise<void> {
    try {
      if ((await holds(digest)) === undefined) await mirroredContent?.unmark(digest)
    } catch {
      // The caller throws what went wrong first.
    }
  }

  async function removeBytes(digest: Digest, options?: CallOptions): Promise<void> {
    cache.forgetSize(digest)
    await driver.remove(layout.blobDirectory(digest), options)
    cache.forgetSize(digest) // Somebody may have looked before it was gone.
  }

  /** Whoever opens content says so before, so that it is not evicted under their hands, until `release` is called. */
  async function held<T>(digest: Digest, open: (release: () => void) => Promise<T>): Promise<T> {
    const release = mirroredContent?.hold(digest) ?? (() => {})
    try {
      return await translating(digest, () => open(release))
    } catch (err) {
      release()
      throw err
    }
  }

  return {
    stat,
    async find(digest, options) {
      try {
        return await stat(digest, options)
      } catch (err) {
        if (err instanceof BlobUnknownError) return undefined
        throw err
      }
    },
    lookUp: async (digest, options) => (await holds(digest, options))?.size,
    adopt,
    openReader:
      openReader &&
      ((digest, options) =>
        held(digest, async release =>
          releasing(await openReader(layout.blobContent(digest), options), release),
        )),
    read: (digest, range, options) =>
      held(digest, async release => {
        const stream = await driver.read(layout.blobContent(digest), { ...options, ...range })
        if (stream.closed) release()
        return stream.once('close', release)
      }),
    readAll: (digest, options) =>
      translating(digest, () => driver.readAll(layout.blobContent(digest), options)),
    async put(bytes, digest, { mirrored, ...options } = {}) {
      const found = digestOf(bytes, algorithmOf(digest))
      if (found !== digest) throw new DigestMismatchError(digest, found)
      return storing({
        digest,
        marker: mirrored && { ...mirrored, size: bytes.length },
        sizeBytes: bytes.length,
        options,
        write: () => driver.writeAll(layout.blobContent(digest), bytes, options),
      })
    },
    claim: (digest, options) =>
      exclusively(
        digest,
        async () => {
          uses?.touch(digest)
          await mirroredContent?.unmark(digest, options)
        },
        options,
      ),
    async evict(digest, { mayGo, unlink }, options) {
      const work = async () => {
        const entry = mirroredContent?.get(digest)
        if (mirroredContent === undefined || entry === undefined) return undefined
        const stays = () => mirroredContent.isHeld(digest) || !mayGo(entry)
        // Storage is asked, too: another process may have taken a push.
        if (stays() || !(await mirroredContent.isMarked(digest, options))) return undefined
        if (!(await unlink(entry)) || stays()) return undefined
        await removeBytes(digest, options)
        await mirroredContent.unmark(digest)
        return entry.size
      }
      return exclusively(digest, work, options)
    },
    create: options => stageBlob({ driver, adopt }, options),
    async removeIf(digest, mayGo, { evenIfRead = false, ...options } = {}) {
      const work = async () => {
        if (!evenIfRead && mirroredContent?.isHeld(digest) === true) return undefined
        const file = await unlessAbsent(() => driver.stat(layout.blobContent(digest), options))
        if (file === undefined || !(await mayGo(file))) return undefined
        await removeBytes(digest, options)
        await mirroredContent?.unmark(digest)
        return file.size
      }
      return exclusively(digest, work, options)
    },
    async remove(digest, options) {
      const work = async () => {
        await removeBytes(digest, options)
        await mirroredContent?.unmark(digest)
      }
      await exclusively(digest, work, options)
    },
  }
}

function blobDescriptor(digest: Digest, size: number): Descriptor {
  return { mediaType: mediaTypes.octetStream, digest, size }
}

interface Storing {
  readonly digest: Digest
  /** Undefined for what was pushed. */
  readonly marker: Marker | undefined
  readonly sizeBytes: number
  readonly options: CallOptions
  write(): Promise<void>
  skip?(): Promise<void>
}

/** `reader`, with `release` called when it is closed. */
function releasing(reader: ContentReader, release: () => void): ContentReader {
  return {
    size: reader.size,
    readInto: (into, position, options) => reader.readInto(into, position, options),
    async close() {
      release()
      await reader.close()
    },
  }
}
