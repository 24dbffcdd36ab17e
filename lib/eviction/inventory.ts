// What operators want to know of mirrored content: how much there is, of what, when it was used, and what stays.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import type { MirroredContent } from '../storage/mirrored-content.ts'
import type { EvictionCounts, EvictionLimits } from './evictor.ts'
import { addTree, bytesOf, taggedImages } from './images.ts'
import type { Pins } from './pins.ts'
import type { Recency } from './recency.ts'

export interface InventoryDeps {
  readonly stores: Pick<Stores, 'manifests' | 'mirroredContent' | 'tags'>
  readonly recency: Recency
  readonly pins: Pins
  readonly limits?: EvictionLimits | undefined
  /** Undefined where nothing is evicted: on a store that no server works on. */
  readonly evictor?: { readonly counts: EvictionCounts } | undefined
}

export interface CacheStats extends EvictionCounts {
  /** Undefined: without limit. */
  readonly limits: EvictionLimits | undefined
  readonly usedBytes: number
  readonly pinnedBytes: number
  /** Blobs and manifests. */
  readonly entries: number
  /** Whether all mirrored content is known: after a start that takes a while. */
  readonly isComplete: boolean
}

export interface MirroredImage {
  /** The name that it is stored under. */
  readonly repository: RepositoryName
  /** Undefined for what was only asked for by digest, or what a tag meant before. */
  readonly tag: Tag | undefined
  readonly digest: Digest
  /** Of the manifest and all below it that is here; what images share counts for each. */
  readonly sizeBytes: number
  /** Of any manifest of it, milliseconds since the epoch. */
  readonly lastUsedAtMs: number
  readonly isPinned: boolean
}

export interface DiskUse {
  /** What repositories share counts once. */
  readonly totalBytes: number
  /** In byte order of the names; what they share counts for each. */
  readonly repositories: readonly {
    readonly name: RepositoryName
    readonly bytes: number
    /** Of what no other repository links. */
    readonly exclusiveBytes: number
  }[]
}

export interface Inventory {
  stats(options?: CallOptions): Promise<CacheStats>
  /** In byte order of repositories and tags. Reads every tag of every mirrored repository. */
  list(options?: CallOptions): Promise<readonly MirroredImage[]>
  /** One image, without a look at the others; undefined: its manifest is not mirrored content. */
  find(
    image: Pick<MirroredImage, 'repository' | 'tag' | 'digest'>,
    options?: CallOptions,
  ): Promise<MirroredImage | undefined>
  /** Bytes of each repository that links mirrored content. */
  du(): DiskUse
}

const noCounts: EvictionCounts = { reservedBytes: 0, evictedBytes: 0, evictedCount: 0 }

export function createInventory({ stores, recency, pins, limits, evictor }: InventoryDeps): Inventory {
  const { mirroredContent } = stores

  function imageOf(
    { repository, tag, digest }: Pick<MirroredImage, 'repository' | 'tag' | 'digest'>,
    pinned: ReadonlySet<Digest>,
  ): MirroredImage {
    const tree = new Set<Digest>()
    addTree(tree, digest, mirroredContent)
    let lastUsedAtMs = 0
    for (const part of tree) {
      const entry = mirroredContent.get(part)
      if (entry?.kind === 'manifest') {
        lastUsedAtMs = Math.max(lastUsedAtMs, recency.lastUse(part) ?? entry.markedAtMs)
      }
    }
    const sizeBytes = bytesOf(tree, mirroredContent)
    return { repository, tag, digest, sizeBytes, lastUsedAtMs, isPinned: pinned.has(digest) }
  }

  return {
    async stats(options) {
      return {
        limits,
        usedBytes: mirroredContent.usedBytes,
        pinnedBytes: bytesOf(await pins.resolve(stores, options), mirroredContent),
        entries: mirroredContent.count,
        isComplete: mirroredContent.isLoaded,
        ...(evictor?.counts ?? noCounts),
      }
    },
    async list(options) {
      const pinned = await pins.resolve(stores, options)
      const tagged = await taggedImages(stores, options)
      const isTagged = new Set(tagged.map(({ repository, digest }) => `${repository}@${digest}`))
      const untagged = rootsIn(mirroredContent).filter(
        ({ repository, digest }) => !isTagged.has(`${repository}@${digest}`),
      )
      return [...tagged, ...untagged]
        .map(image => imageOf(image, pinned))
        .toSorted((a, b) => compare(a.repository, b.repository) || compare(a.tag ?? '', b.tag ?? ''))
    },
    async find(image, options) {
      if (mirroredContent.get(image.digest)?.kind !== 'manifest') return undefined
      return imageOf(image, await pins.resolve(stores, options))
    },
    du() {
      const sums = new Map<RepositoryName, { bytes: number; exclusiveBytes: number }>()
      for (const { repositories, size } of mirroredContent.entries()) {
        for (const name of repositories) {
          const { bytes, exclusiveBytes } = sums.get(name) ?? { bytes: 0, exclusiveBytes: 0 }
          const ownBytes = repositories.length === 1 ? size : 0
          sums.set(name, { bytes: bytes + size, exclusiveBytes: exclusiveBytes + ownBytes })
        }
      }
      const repositories = Array.from(sums, ([name, sum]) => ({ name, ...sum }))
      return {
        totalBytes: mirroredContent.usedBytes,
        repositories: repositories.toSorted((a, b) => compare(a.name, b.name)),
      }
    },
  }
}

/** Manifests that no other one leads to, for each repository that links them. */
function rootsIn(
  mirroredContent: MirroredContent,
): readonly { readonly repository: RepositoryName; readonly tag: undefined; readonly digest: Digest }[] {
  const children = new Set<Digest>()
  for (const { refs } of mirroredContent.entries()) for (const ref of refs) children.add(ref)
  return [...mirroredContent.entries()]
    .filter(({ kind, digest }) => kind === 'manifest' && !children.has(digest))
    .flatMap(({ digest, repositories }) =>
      repositories.map(repository => ({ repository, tag: undefined, digest })),
    )
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
