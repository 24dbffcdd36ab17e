// Link files: what ties a digest to a repository. A link's content is the digest that it points to, which may differ
// from the one in its path: distribution files a sha512 push under sha256 and links the sha512 name to it.
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { noDescriptorCache, type DescriptorCache, type LinkKind } from './descriptor-cache.ts'
import { PathNotFoundError, StorageError, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'
import type { MirroredContent } from './mirrored-content.ts'

export interface Links {
  /** What the link points to; undefined if there is none. */
  resolve(
    name: RepositoryName,
    kind: LinkKind,
    digest: Digest,
    options?: CallOptions,
  ): Promise<Digest | undefined>
  /** The same, but asks the driver, whatever is remembered. */
  lookUp(
    name: RepositoryName,
    kind: LinkKind,
    digest: Digest,
    options?: CallOptions,
  ): Promise<Digest | undefined>
  /** That it links mirrored content is remembered before, for eviction to find the link. */
  link(name: RepositoryName, kind: LinkKind, digest: Digest, options?: CallOptions): Promise<void>
  /** Returns whether there was one. */
  unlink(name: RepositoryName, kind: LinkKind, digest: Digest, options?: CallOptions): Promise<boolean>
  /** Unlinks, and leaves no empty folder; for who has seen to it that nobody links it at the same time. */
  clear(name: RepositoryName, kind: LinkKind, digest: Digest, options?: CallOptions): Promise<void>
}

export interface LinksDeps {
  readonly driver: StorageDriver
  readonly cache?: DescriptorCache
  /** Undefined only over a tree that nothing is ever evicted from. */
  readonly mirroredContent?: MirroredContent | undefined
}

export function createLinks({ driver, cache = noDescriptorCache, mirroredContent }: LinksDeps): Links {
  return {
    async resolve(name, kind, digest, options) {
      const known = cache.link(name, kind, digest)
      if (known !== undefined) return known
      const { epoch } = cache
      const target = await readLink(driver, linkPath(name, kind, digest), options)
      if (target !== undefined) cache.rememberLink(name, kind, digest, target, epoch)
      return target
    },
    async lookUp(name, kind, digest, options) {
      const target = await readLink(driver, linkPath(name, kind, digest), options)
      if (target === undefined) cache.forgetLink(name, kind, digest)
      return target
    },
    async link(name, kind, digest, options) {
      const write = async () => {
        const { epoch } = cache
        await driver.writeAll(linkPath(name, kind, digest), Buffer.from(digest), options)
        cache.rememberLink(name, kind, digest, digest, epoch)
      }
      await (mirroredContent === undefined ? write() : mirroredContent.link(digest, name, write, options))
    },
    async unlink(name, kind, digest, options) {
      cache.forgetLink(name, kind, digest)
      const path = linkPath(name, kind, digest)
      if (!(await hasLink(driver, path, options))) return false
      await driver.remove(path, options)
      cache.forgetLink(name, kind, digest)
      return true
    },
    async clear(name, kind, digest, options) {
      cache.forgetLink(name, kind, digest)
      const directory =
        kind === 'layer' ? layout.layerDirectory(name, digest) : layout.revisionDirectory(name, digest)
      await driver.remove(directory, options)
      cache.forgetLink(name, kind, digest)
    },
  }
}

/** The digest in a link file; undefined if there is no such file. CorruptLinkError. */
export async function readLink(
  driver: StorageDriver,
  path: StoragePath,
  options?: CallOptions,
): Promise<Digest | undefined> {
  let text: string
  try {
    text = (await driver.readAll(path, options)).toString('latin1').trim()
  } catch (err) {
    if (err instanceof PathNotFoundError) return undefined
    throw err
  }
  if (!isDigest(text)) throw new CorruptLinkError(path)
  return text
}

/** A link file that holds no digest. */
export class CorruptLinkError extends StorageError {
  override readonly name = 'CorruptLinkError'

  constructor(path: StoragePath) {
    super(`Cannot follow link "${path}": it holds no digest`, path)
  }
}

/** Whether there is a link file, be it a broken one: those must go on being removable. */
export async function hasLink(
  driver: StorageDriver,
  path: StoragePath,
  options?: CallOptions,
): Promise<boolean> {
  return (await unlessAbsent(() => driver.stat(path, options)))?.kind === 'file'
}

function linkPath(name: RepositoryName, kind: LinkKind, digest: Digest): StoragePath {
  return kind === 'layer' ? layout.layerLink(name, digest) : layout.revisionLink(name, digest)
}
