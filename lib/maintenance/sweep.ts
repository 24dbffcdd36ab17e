// Removes what a collection found unneeded, each piece under the locks that pushes take, and only after another look:
// what was used, written or read since the collection began stays.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { StoragePath } from '../storage/driver/driver.ts'
import { unlessAbsent } from '../storage/driver/unless-absent.ts'
import { layout } from '../storage/layout.ts'
import type { UsesSince } from '../storage/recent-uses.ts'
import type { CollectDeps, UnneededLink } from './collection.ts'
import { inTurns } from './in-turns.ts'

export interface SweepOptions extends CallOptions {
  readonly cutoffMs: number
  readonly concurrency: number
}

/** What was removed, and what was not because it is needed again. */
export interface SweptLinks {
  readonly removed: readonly UnneededLink[]
  readonly retained: readonly UnneededLink[]
  /** Why some, which count as removed, may not be. */
  readonly failure?: unknown
}

export interface SweptBlobs {
  readonly count: number
  readonly bytes: number
  readonly retained: number
}

/** No signal ends what it does with links, which others may have to be put back. */
export interface Sweeper {
  manifests(links: readonly UnneededLink[]): Promise<SweptLinks>
  layers(links: readonly UnneededLink[]): Promise<SweptLinks>
  /** Puts links back that were removed by this sweeper. */
  restore(kind: 'layer' | 'manifest', links: readonly UnneededLink[]): Promise<void>
  /** Those that `isNeeded` does not name. */
  blobs(digests: readonly Digest[], isNeeded: (digest: Digest) => boolean): Promise<SweptBlobs>
}

export function createSweeper(
  { stores, isMirror }: CollectDeps,
  uses: Pick<UsesSince, 'has'>,
  { cutoffMs, concurrency, signal }: SweepOptions,
): Sweeper {
  const { blobs, driver, links, manifests, mirroredContent } = stores

  /** No push, fill or eviction of either name goes on meanwhile. */
  function exclusively<T>({ digest, target }: UnneededLink, work: () => Promise<T>): Promise<T> {
    const [first = digest, second] = [...new Set([digest, target])].toSorted()
    const inner = second === undefined ? work : () => mirroredContent.exclusively(second, work)
    return mirroredContent.exclusively(first, inner)
  }

  async function mayGo({ digest, target }: UnneededLink, path: StoragePath): Promise<boolean> {
    if (uses.has(digest) || uses.has(target)) return false
    if (isMirror && (await mirroredContent.isMarked(target))) return false
    const file = await unlessAbsent(() => driver.stat(path))
    return file === undefined || file.modifiedAtMs < cutoffMs
  }

  async function unlink(kind: 'layer' | 'manifest', link: UnneededLink): Promise<boolean> {
    const { name, digest } = link
    return exclusively(link, async () => {
      if (!(await mayGo(link, pathOf(kind, link)))) return false
      await links.unlink(name, kind, digest)
      return true
    })
  }

  async function unlinkManifest(link: UnneededLink): Promise<boolean> {
    const { name, digest } = link
    return manifests.exclusively(name, digest, () => unlink('manifest', link))
  }

  async function sweep(
    all: readonly UnneededLink[],
    remove: (link: UnneededLink) => Promise<boolean>,
  ): Promise<SweptLinks> {
    let failure: unknown
    const isRemoved = await inTurns(concurrency, all, async link => {
      if (failure !== undefined) return false
      try {
        return await remove(link)
      } catch (err) {
        failure = err
        return true
      }
    })
    return {
      failure,
      removed: all.filter((_, at) => isRemoved[at] === true),
      retained: all.filter((_, at) => isRemoved[at] !== true),
    }
  }

  async function removeBlob(digest: Digest): Promise<number | undefined> {
    const freed = await blobs.removeIf(
      digest,
      async file => {
        if (uses.has(digest) || file.modifiedAtMs >= cutoffMs) return false
        return !isMirror || !(await mirroredContent.isMarked(digest, { signal }))
      },
      { signal },
    )
    if (freed !== undefined) manifests.forget(digest)
    return freed
  }

  return {
    async manifests(all) {
      const swept = await sweep(all, unlinkManifest)
      if (swept.failure === undefined) await removeTagEntries(swept.removed)
      return swept
    },
    layers: all => sweep(all, link => unlink('layer', link)),
    async restore(kind, all) {
      await inTurns(concurrency, all, async link => {
        const write = () => driver.writeAll(pathOf(kind, link), Buffer.from(link.target))
        await exclusively(link, write)
      })
    },
    async blobs(digests, isNeeded) {
      let [count, bytes, retained] = [0, 0, 0]
      await inTurns(concurrency, digests, async digest => {
        const freed = isNeeded(digest) ? undefined : await removeBlob(digest)
        if (freed === undefined) retained++
        else {
          count++
          bytes += freed
        }
      })
      return { count, bytes, retained }
    },
  }

  /** That a tag once meant it is of no use any more. */
  async function removeTagEntries(removed: readonly UnneededLink[]): Promise<void> {
    for (const name of new Set(removed.map(link => link.name))) {
      const gone = new Set(removed.filter(link => link.name === name).map(({ digest }) => digest))
      await removeEntriesOf(name, gone)
    }
  }

  async function removeEntriesOf(name: RepositoryName, gone: ReadonlySet<Digest>): Promise<void> {
    const directory = layout.tags(name)
    for await (const { path } of driver.walk(directory)) {
      const [, index, algorithm, hex] = path.slice(directory.length + 1).split('/')
      if (index === 'index' && gone.has(`${algorithm}:${hex}` as Digest)) await driver.remove(path)
    }
  }
}

function pathOf(kind: 'layer' | 'manifest', { name, digest }: UnneededLink): StoragePath {
  return kind === 'layer' ? layout.layerLink(name, digest) : layout.revisionLink(name, digest)
}
