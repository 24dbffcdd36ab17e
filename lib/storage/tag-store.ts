// Tags: names that move from one manifest digest to another. What a tag means now is its `current` link; every digest
// that it ever meant has an `index` entry.
import { inParallel } from '../in-parallel.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isTag, type Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { StorageDriver } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { baseName, layout } from './layout.ts'
import { CorruptLinkError, hasLink, readLink } from './links.ts'

export interface TagStore {
  /** What the tag means now; undefined if there is no such tag. */
  resolve(name: RepositoryName, tag: Tag, options?: CallOptions): Promise<Digest | undefined>
  /** Points the tag at a manifest that is stored and linked already. */
  set(name: RepositoryName, tag: Tag, digest: Digest, options?: CallOptions): Promise<void>
  /** Every tag in byte order; undefined if the repository never had one. */
  list(name: RepositoryName, options?: CallOptions): Promise<readonly Tag[] | undefined>
  /** Returns whether there was one. With `meaning`, a tag that means another digest by now stays. */
  remove(
    name: RepositoryName,
    tag: Tag,
    options?: CallOptions & { readonly meaning?: Digest },
  ): Promise<boolean>
  /** The tags that mean `digest` now. */
  pointingTo(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<readonly Tag[]>
}

export interface TagStoreDeps {
  readonly driver: StorageDriver
  /** How many tags are read at once when all of a repository's are looked through. */
  readonly concurrency: number
}

export function createTagStore({ driver, concurrency }: TagStoreDeps): TagStore {
  /** A tag that is set while its folder is being removed must not lose half of its files. */
  const changes = new KeyedLock()

  function changing<T>(name: RepositoryName, tag: Tag, work: () => Promise<T>, options?: CallOptions) {
    return changes.run(`${name}:${tag}`, work, options)
  }

  const resolve: TagStore['resolve'] = (name, tag, options) =>
    readLink(driver, layout.tagCurrent(name, tag), options)

  const list: TagStore['list'] = async (name, options) => {
    const paths = await unlessAbsent(() => driver.list(layout.tags(name), options))
    return paths?.map(baseName).filter(isTag).toSorted(byBytes)
  }

  return {
    resolve,
    list,
    async set(name, tag, digest, options) {
      const link = Buffer.from(digest)
      const work = async () => {
        await driver.writeAll(layout.tagEntry(name, tag, digest), link, options)
        await driver.writeAll(layout.tagCurrent(name, tag), link, options)
      }
      await changing(name, tag, work, options)
    },
    async remove(name, tag, options = {}) {
      const { meaning } = options
      const work = async () => {
        if (!(await hasLink(driver, layout.tagCurrent(name, tag), options))) return false
        if (meaning !== undefined && (await resolve(name, tag, options)) !== meaning) return false
        await driver.remove(layout.tag(name, tag), options)
        return true
      }
      return changing(name, tag, work, options)
    },
    async pointingTo(name, digest, options) {
      const all = (await list(name, options)) ?? []
      const meanings = await inParallel(concurrency, all, async tag => {
        try {
          return await resolve(name, tag, options)
        } catch (err) {
          // A link that holds no digest points to nothing, and must not keep a manifest from being deleted.
          if (err instanceof CorruptLinkError) return undefined
          throw err
        }
      })
      return all.filter((_, index) => meanings[index] === digest)
    },
  }
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
