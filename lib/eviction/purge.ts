// Removes mirrored content because somebody says so: a tag with what no other tag or manifest needs, one manifest, or
// all that a repository has. Never what was pushed; what is pinned only by force; what is being read or fetched stays.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import type { MirroredEntry } from '../storage/mirrored-content.ts'
import { isMirrored } from '../storage/mirrored-tags.ts'
import type { EvictorDeps } from './evictor.ts'
import { addTree, meaningsOf, taggedImages } from './images.ts'
import { planEviction } from './plan.ts'
import { createRemoval } from './removal.ts'

export type PurgeDeps = Pick<EvictorDeps, 'stores' | 'mirroredTags' | 'recency' | 'pins' | 'isFilling'>

export interface PurgeOptions extends CallOptions {
  /** Whether what is pinned goes, too. */
  readonly force?: boolean | undefined
}

export interface PurgeOutcome {
  readonly removedBytes: number
  readonly removedCount: number
  /** What was meant, and stays. */
  readonly kept: readonly { readonly digest: Digest; readonly reason: KeptReason }[]
}

/** `needed`: by another tag, manifest or repository. `used`: it is being read or fetched, or was pushed meanwhile. */
export type KeptReason = 'pinned' | 'needed' | 'used'

/** Of the repository by the name that content is stored under; without a reference, all that it has. */
export type Purge = (
  repository: RepositoryName,
  reference: Reference | undefined,
  options?: PurgeOptions,
) => Promise<PurgeOutcome>

export function createPurge(deps: PurgeDeps): Purge {
  const { stores, mirroredTags, recency, pins, isFilling } = deps
  const { mirroredContent, tags } = stores
  const remove = createRemoval(deps)

  /** The mirrored content that a reference is about, and the tags that go with it. */
  async function meant(
    repository: RepositoryName,
    reference: Reference | undefined,
    options: CallOptions,
  ): Promise<Meant> {
    const isOurs = (digest: Digest) => mirroredContent.get(digest)?.repositories.includes(repository)
    const all = await meaningsOf(repository, stores, () => true, options)
    const going = all.filter(({ tag, digest }) => {
      if (!isOurs(digest)) return false
      if (reference === undefined) return true
      return reference.kind === 'tag' ? reference.tag === tag : reference.digest === digest
    })
    const roots = new Set(going.map(({ digest }) => digest))
    if (reference?.kind === 'digest' && isOurs(reference.digest)) roots.add(reference.digest)
    if (reference === undefined) {
      for (const { digest } of mirroredContent.entries()) if (isOurs(digest)) roots.add(digest)
    }
    return { repository, roots, tags: going }
  }

  /** What has to stay of `tree`, because something leads to it that stays. */
  async function neededOf(
    tree: ReadonlySet<Digest>,
    { repository, tags: going }: Meant,
    options: CallOptions,
  ): Promise<ReadonlySet<Digest>> {
    const needed = new Set<Digest>()
    const goes = new Set(going.map(({ tag }) => `${repository}:${tag}`))
    for (const image of await taggedImages(stores, options)) {
      if (!goes.has(`${image.repository}:${image.tag}`)) addTree(needed, image.digest, mirroredContent)
    }
    for (const { digest, kind, repositories } of mirroredContent.entries()) {
      const isElsewhere = !tree.has(digest) || repositories.some(name => name !== repository)
      if (kind === 'manifest' && isElsewhere) addTree(needed, digest, mirroredContent)
    }
    return needed
  }

  /** The tags of what stays; those of what goes are removed with it. */
  async function removeTags(
    { repository, tags: going }: Meant,
    pinned: ReadonlySet<Digest>,
    options: CallOptions,
  ) {
    for (const { tag, digest } of going) {
      if (pinned.has(digest)) continue
      if (!isMirrored(await mirroredTags.stored(repository, tag, options), digest)) continue
      await tags.remove(repository, tag, { ...options, meaning: digest })
    }
  }

  /** What others need is not this repository's any more. */
  async function unlink({ digest, kind }: MirroredEntry, repository: RepositoryName): Promise<void> {
    const { links, manifests } = stores
    const work = () =>
      mirroredContent.unlink(digest, repository, async () => {
        await links.clear(repository, 'layer', digest)
        if (kind === 'manifest') await links.clear(repository, 'manifest', digest)
      })
    await (kind === 'manifest' ? manifests.exclusively(repository, digest, work) : work())
  }

  return async (repository, reference, { force = false, ...options } = {}) => {
    if (!(await mirroredContent.loaded(options))) {
      throw new Error(`Cannot purge "${repository}": it is not known which content is mirrored`)
    }
    const target = await meant(repository, reference, options)
    const pinned = force ? new Set<Digest>() : await pins.resolve(stores, options)
    const tree = new Set<Digest>()
    for (const root of target.roots) addTree(tree, root, mirroredContent)
    const needed = await neededOf(tree, target, options)
    await removeTags(target, pinned, options)

    const kept = new Map<Digest, KeptReason>()
    for (const digest of tree) {
      if (pinned.has(digest)) kept.set(digest, 'pinned')
      else if (needed.has(digest)) kept.set(digest, 'needed')
    }
    const { victims } = planEviction({
      entries: entriesOf(tree, stores),
      lastUse: digest => recency.lastUse(digest),
      isKept: digest => kept.has(digest),
    })
    let [removedBytes, removedCount] = [0, 0]
    for (const { entry } of victims) {
      options.signal?.throwIfAborted()
      const bytes = await remove(entry, ({ digest }) => !isFilling(digest))
      if (bytes === undefined) kept.set(entry.digest, 'used')
      else [removedBytes, removedCount] = [removedBytes + bytes, removedCount + 1]
    }
    if (reference === undefined) {
      for (const entry of entriesOf(tree, stores)) {
        if (kept.get(entry.digest) === 'needed' && entry.repositories.includes(repository)) {
          await unlink(entry, repository)
        }
      }
    }
    return { removedBytes, removedCount, kept: Array.from(kept, ([digest, reason]) => ({ digest, reason })) }
  }
}

interface Meant {
  readonly repository: RepositoryName
  readonly roots: ReadonlySet<Digest>
  /** That mean one of the roots, and are asked to go. */
  readonly tags: Awaited<ReturnType<typeof meaningsOf>>
}

function entriesOf(
  digests: Iterable<Digest>,
  { mirroredContent }: Pick<Stores, 'mirroredContent'>,
): readonly MirroredEntry[] {
  return [...digests].flatMap(digest => mirroredContent.get(digest) ?? [])
}
