// Blobs that are still arriving, each in a file that is private to its writer until commit() gives it to the store.
//
// The path of a file says what it is meant to become, if that is known: what a crash or an upstream in trouble leaves
// of a large blob is worth going on with. keep() puts it where partial-fills.ts finds it. One rule makes that safe:
// whoever has put a file into common hands never writes to it again, and whoever takes one out has moved it to a path
// of its own before.
import { randomUUID } from 'node:crypto'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { DigestMismatchError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { PathNotFoundError, type FileWriter, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'

export interface StageOptions extends CallOptions {
  /** What the content is meant to become, if it is known. */
  readonly digest?: Digest | undefined
}

export interface CommitOptions extends CallOptions {
  /** The repository that it was fetched for: the content is a mirror's, which may remove it to make room. */
  readonly mirrored?: RepositoryName | undefined
}

/** A staged blob. The caller hashes while it writes and hands in what it found; see proxy/fill.ts. */
export interface BlobWriter extends Omit<FileWriter, 'commit' | 'close'> {
  /** Makes the blob visible under `expected`. DigestMismatchError if `found` differs: then nothing is kept. */
  commit(expected: Digest, found: Digest, options?: CommitOptions): Promise<Descriptor>
  /** Ends the writing like cancel(), but keeps what there is for a later fill of the digest that was told. */
  keep(): Promise<void>
}

export interface StagingDeps {
  readonly driver: StorageDriver
  /** Takes a complete file into the store: BlobStore.adopt(). */
  adopt(from: StoragePath, digest: Digest, sizeBytes: number, options?: CommitOptions): Promise<Descriptor>
}

/** Begins a blob. The caller commits, keeps or cancels the writer, and releases it. */
export async function stageBlob(
  deps: StagingDeps,
  { digest, ...options }: StageOptions = {},
): Promise<BlobWriter> {
  const id = fillId(digest)
  const writer = await deps.driver.openWriter(layout.fillContent(id), options)
  return toBlobWriter(deps, writer, id, digest)
}

/**
 * Goes on with what keep() has left of a blob, taking it out of everybody else's reach; undefined if there is nothing,
 * or another was faster.
 */
export async function stageKept(
  deps: StagingDeps,
  digest: Digest,
  options?: CallOptions,
): Promise<BlobWriter | undefined> {
  const { driver } = deps
  const id = fillId(digest)
  try {
    await driver.move(layout.partialFill(digest), layout.fillContent(id), options)
  } catch (err) {
    if (err instanceof PathNotFoundError) return undefined
    throw err
  }
  try {
    const writer = await driver.openWriter(layout.fillContent(id), { append: true })
    return toBlobWriter(deps, writer, id, digest)
  } catch (err) {
    await driver.remove(layout.fill(id)).catch(() => {})
    throw err
  }
}

function fillId(digest: Digest | undefined): string {
  return digest === undefined ? randomUUID() : layout.fillIdOf(digest, randomUUID())
}

function toBlobWriter(
  { driver, adopt }: StagingDeps,
  writer: FileWriter,
  id: string,
  digest: Digest | undefined,
): BlobWriter {
  let isCleared = false

  async function clear(): Promise<void> {
    if (isCleared) return
    await driver.remove(layout.fill(id))
    isCleared = true
  }

  async function discard(): Promise<void> {
    try {
      await writer.cancel()
    } finally {
      await clear()
    }
  }

  /** The longer of two wins: the other one's bytes are among its own. */
  async function moveToPartial(partial: StoragePath): Promise<void> {
    const present = await unlessAbsent(() => driver.stat(partial))
    if (present === undefined || present.size < writer.bytesWritten) {
      await driver.move(layout.fillContent(id), partial)
    }
  }

  return {
    get bytesWritten() {
      return writer.bytesWritten
    },
    write: (content, options) => writer.write(content, options),
    ...(writer.readWritten && { readWritten: writer.readWritten.bind(writer) }),
    release: () => writer.release(),
    cancel: discard,
    async keep() {
      if (digest === undefined) return await discard()
      try {
        await writer.close()
        await moveToPartial(layout.partialFill(digest))
      } finally {
        await clear()
      }
    },
    async commit(expected, found, options) {
      if (found !== expected) {
        await discard()
        throw new DigestMismatchError(expected, found)
      }
      await writer.commit()
      const descriptor = await adopt(layout.fillContent(id), expected, writer.bytesWritten, options)
      // The blob is stored: that its folder stays is no reason to say otherwise. cancel() tries again.
      await clear().catch(() => {})
      return descriptor
    },
  }
}
