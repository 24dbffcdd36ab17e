// The content-addressed store over a driver: digests, but no repository and no access rule. Content is written to a
// staging path, verified and made durable there, and only then moved to the path that its digest names. What lies
// there is never written again.
import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts'
import { BlobUnknownError, DigestMismatchError } from '../oci/errors.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { ContentReader } from '../streams/content-reader.ts'
import { noDescriptorCache, type DescriptorCache } from './descriptor-cache.ts'
import { PathNotFoundError, type FileWriter, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'

export interface BlobStore {
  /** BlobUnknownError. */
  stat(digest: Digest, options?: CallOptions): Promise<Descriptor>
  /** What stat() tells; undefined if the blob is not there. */
  find(digest: Digest, options?: CallOptions): Promise<Descriptor | undefined>
  /** A stream over the blob or a part of it, already open; the caller ends or destroys it. BlobUnknownError. */
  read(digest: Digest, range?: ByteRange, options?: CallOptions): Promise<Readable>
  /** Capability of some drivers: opens the blob to be read by position. BlobUnknownError. */
  openReader?: ((digest: Digest, options?: CallOptions) => Promise<ContentReader>) | undefined
  /** The whole of a small blob: a manifest. BlobUnknownError. */
  readAll(digest: Digest, options?: CallOptions): Promise<Buffer>
  /** Stores bytes that are in memory, under a digest of their own; nothing happens if they are there. */
  put(bytes: Uint8Array, digest: Digest, options?: CallOptions): Promise<Descriptor>
  /** A writer for content that is still arriving; see BlobWriter. */
  create(options?: CallOptions): Promise<BlobWriter>
  /**
   * Takes in a complete, durable file whose content was verified to be `digest`. If the blob is there already, the
   * file is removed and the blob left as it is; one of another length was damaged, and is replaced.
   */
  adopt(from: StoragePath, digest: Digest, sizeBytes: number, options?: CallOptions): Promise<Descriptor>
  remove(digest: Digest, options?: CallOptions): Promise<void>
}

/** A staged blob. The caller hashes while it writes and hands in what it found; see proxy/fill.ts. */
export interface BlobWriter extends Omit<FileWriter, 'commit' | 'close'> {
  /** Makes the blob visible under `expected`. DigestMismatchError if `found` differs: then nothing is kept. */
  commit(expected: Digest, found: Digest, options?: CallOptions): Promise<Descriptor>
}

export interface BlobStoreDeps {
  readonly driver: StorageDriver
  readonly cache?: DescriptorCache
}

export function createBlobStore({ driver, cache = noDescriptorCache }: BlobStoreDeps): BlobStore {
  const openReader = driver.openReader?.bind(driver)

  async function stat(digest: Digest, options?: CallOptions): Promise<Descriptor> {
    const known = cache.size(digest)
    if (known !== undefined) return blobDescriptor(digest, known)
    const { epoch } = cache
    const file = await translating(digest, () => driver.stat(layout.blobContent(digest), options))
    return remembered(digest, file.size, epoch)
  }

  async function holds(digest: Digest, options?: CallOptions): Promise<Descriptor | undefined> {
    const { epoch } = cache
    // The driver is asked, not the cache: a stale yes would lose the content that is about to be stored.
    const file = await unlessAbsent(() => driver.stat(layout.blobContent(digest), options))
    return file && remembered(digest, file.size, epoch)
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
    options?: CallOptions,
  ): Promise<Descriptor> {
    const present = await holds(digest, options)
    if (present?.size === sizeBytes) {
      await driver.remove(from, options)
      return present
    }
    const { epoch } = cache
    await driver.move(from, layout.blobContent(digest), options)
    return remembered(digest, sizeBytes, epoch)
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
    adopt,
    openReader:
      openReader &&
      ((digest, options) => translating(digest, () => openReader(layout.blobContent(digest), options))),
    read: (digest, range, options) =>
      translating(digest, () => driver.read(layout.blobContent(digest), { ...options, ...range })),
    readAll: (digest, options) =>
      translating(digest, () => driver.readAll(layout.blobContent(digest), options)),
    async put(bytes, digest, options) {
      const found = digestOf(bytes, algorithmOf(digest))
      if (found !== digest) throw new DigestMismatchError(digest, found)
      const present = await holds(digest, options)
      if (present?.size === bytes.length) return present
      const { epoch } = cache
      await driver.writeAll(layout.blobContent(digest), bytes, options)
      return remembered(digest, bytes.length, epoch)
    },
    async create(options) {
      const id = randomUUID()
      const writer = await driver.openWriter(layout.fillContent(id), options)
      let isCleared = false
      const clear = async () => {
        if (isCleared) return
        await driver.remove(layout.fill(id))
        isCleared = true
      }
      const discard = async () => {
        try {
          await writer.cancel()
        } finally {
          await clear()
        }
      }
      return {
        get bytesWritten() {
          return writer.bytesWritten
        },
        write: (chunk, opts) => writer.write(chunk, opts),
        ...(writer.readWritten && { readWritten: writer.readWritten.bind(writer) }),
        release: () => writer.release(),
        cancel: discard,
        async commit(expected, found, opts) {
          if (found !== expected) {
            await discard()
            throw new DigestMismatchError(expected, found)
          }
          await writer.commit()
          const descriptor = await adopt(layout.fillContent(id), expected, writer.bytesWritten, opts)
          // The blob is stored: that its folder stays is no reason to say otherwise. cancel() tries again.
          await clear().catch(() => {})
          return descriptor
        },
      }
    },
    async remove(digest, options) {
      cache.forgetSize(digest)
      await driver.remove(layout.blobDirectory(digest), options)
      cache.forgetSize(digest) // Somebody may have looked before it was gone.
    },
  }
}

function blobDescriptor(digest: Digest, size: number): Descriptor {
  return { mediaType: mediaTypes.octetStream, digest, size }
}
