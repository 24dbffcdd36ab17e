// Takes one piece of mirrored content away: first what leads to it, then its bytes, then its marker, so that whoever
// finds a link finds content, and a crash leaves at most a marker that leads to nothing. Each step holds the locks that
// pushes and fills hold, and what has been claimed, pinned, opened or used meanwhile stays.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import type { MirroredEntry } from '../storage/mirrored-content.ts'
import { isMirrored, type MirroredTags } from '../storage/mirrored-tags.ts'

export interface RemovalDeps {
  readonly stores: Pick<Stores, 'blobs' | 'links' | 'manifests' | 'tags'>
  readonly mirroredTags: Pick<MirroredTags, 'stored'>
}

/** The bytes that were freed; undefined: it stays. */
export type Remove = (
  entry: MirroredEntry,
  mayGo: (entry: MirroredEntry) => boolean,
  options?: CallOptions,
) => Promise<number | undefined>

export function createRemoval({ stores, mirroredTags }: RemovalDeps): Remove {
  const { blobs, links, manifests, tags } = stores

  /** Undefined if one of them was pushed: then the manifest is not ours alone. */
  async function mirroredTagsOf(
    name: RepositoryName,
    { digest }: MirroredEntry,
    options?: CallOptions,
  ): Promise<readonly Tag[] | undefined> {
    const pointing = await tags.pointingTo(name, digest, options)
    for (const tag of pointing) {
      if (!isMirrored(await mirroredTags.stored(name, tag, options), digest)) return undefined
    }
    return pointing
  }

  async function unlinkManifest(entry: MirroredEntry, options?: CallOptions): Promise<boolean> {
    const { digest, repositories } = entry
    const found: (readonly [RepositoryName, readonly Tag[]])[] = []
    for (const name of repositories) {
      const pointing = await mirroredTagsOf(name, entry, options)
      if (pointing === undefined) return false
      found.push([name, pointing])
    }
    for (const [name, pointing] of found) {
      for (const tag of pointing) await tags.remove(name, tag, { ...options, meaning: digest })
      await links.clear(name, 'manifest', digest, options)
    }
    await unlinkBlob(entry, options) // Some clients read manifests as blobs.
    manifests.forget(digest)
    return true
  }

  async function unlinkBlob({ digest, repositories }: MirroredEntry, options?: CallOptions): Promise<true> {
    for (const name of repositories) await links.clear(name, 'layer', digest, options)
    return true
  }

  const removeBlob: Remove = ({ digest }, mayGo, options) =>
    blobs.evict(digest, { mayGo, unlink: entry => unlinkBlob(entry, options) }, options)

  const removeManifest: Remove = async ({ digest, repositories }, mayGo, options) => {
    const locked = repositories.toSorted()
    const evict = () =>
      blobs.evict(
        digest,
        {
          mayGo,
          // A repository that has come to it since is not locked: it goes the next time.
          unlink: async entry =>
            entry.repositories.every(name => locked.includes(name)) && unlinkManifest(entry, options),
        },
        options,
      )
    const freed = await locked.reduceRight<() => Promise<number | undefined>>(
      (work, name) => () => manifests.exclusively(name, digest, work, options),
      evict,
    )()
    if (freed !== undefined) manifests.forget(digest)
    return freed
  }

  return (entry, mayGo, options) =>
    entry.kind === 'manifest' ? removeManifest(entry, mayGo, options) : removeBlob(entry, mayGo, options)
}
