// Link files: what ties a digest to a repository. A link's content is the digest that it points to, which may differ
// from the one in its path: distribution files a sha512 push under sha256 and links the sha512 name to it.
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { noDescriptorCache, type DescriptorCache, type LinkKind } from './descriptor-cache.ts'
import { PathNotFoundError, StorageError, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'

export interface Links {
  /** What the link points to; undefined if there is none. */
  resolve(
    name: RepositoryName,
    kind: LinkKind,
    digest: Digest,
    options?: CallOptions,
  ): Promise<Digest | undefined>
  link(name: RepositoryName, kind: LinkKind, digest: Digest, options?: CallOptions): Promise<void>
  /** Returns whether there was one. */
  unlink(name: RepositoryName, kind: LinkKind, digest: Digest, options?: CallOptions): Promise<boolean>
}

export interface LinksDeps {
  readonly driver: StorageDriver
  readonly cache?: DescriptorCache
}

export function createLinks({ driver, cache = noDescriptorCache }: LinksDeps): Links {
  return {
    async resolve(name, kind, digest, options) {
      const known = cache.link(name, kind, digest)
      if (known !== undefined) return known
      const { epoch } = cache
      const target = await readLink(driver, linkPath(name, kind, digest), options)
      if (target !== undefined) cache.rememberLink(name, kind, digest, target, epoch)
      return target
    },
    async link(name, kind, digest, options) {
      const { epoch } = cache
      await driver.writeAll(linkPath(name, kind, digest), Buffer.from(digest), options)
      cache.rememberLink(name, kind, digest, digest, epoch)
    },
    async unlink(name, kind, digest, options) {
      cache.forgetLink(name, kind, digest)
      const path = linkPath(name, kind, digest)
      if (!(await hasLink(driver, path, options))) return false
      await driver.remove(path, options)
      cache.forgetLink(name, kind, digest)
      return true
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
