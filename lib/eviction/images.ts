// Mirrored content as images: which tags lead to it, and what lies below a manifest.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import type { MirroredContent } from '../storage/mirrored-content.ts'
import { CorruptLinkError } from '../storage/links.ts'

/** A tag that means mirrored content now. */
export interface TaggedImage {
  readonly repository: RepositoryName
  readonly tag: Tag
  readonly digest: Digest
}

/** How many tags are read at once. */
const concurrency = 8

/** The repositories that link mirrored content, by the names that content is stored under; in byte order. */
export function mirroredRepositories(mirroredContent: MirroredContent): readonly RepositoryName[] {
  const names = new Set<RepositoryName>()
  for (const { repositories } of mirroredContent.entries()) for (const name of repositories) names.add(name)
  return [...names].toSorted()
}

/** What each tag of a repository means that `isWanted`; a tag that is broken means nothing. */
export async function meaningsOf(
  name: RepositoryName,
  { tags }: Pick<Stores, 'tags'>,
  isWanted: (tag: Tag) => boolean,
  options?: CallOptions,
): Promise<readonly TaggedImage[]> {
  const all = (await tags.list(name, options)) ?? []
  const found = await inParallel(concurrency, all.filter(isWanted), async tag => {
    try {
      const digest = await tags.resolve(name, tag, options)
      return digest === undefined ? [] : [{ repository: name, tag, digest }]
    } catch (err) {
      if (err instanceof CorruptLinkError) return []
      throw err
    }
  })
  return found.flat()
}

/** Every tag that means mirrored content, of all repositories. Reads all their tags. */
export async function taggedImages(
  stores: Pick<Stores, 'mirroredContent' | 'tags'>,
  options?: CallOptions,
): Promise<readonly TaggedImage[]> {
  const { mirroredContent } = stores
  const images: TaggedImage[] = []
  for (const name of mirroredRepositories(mirroredContent)) {
    const meanings = await meaningsOf(name, stores, () => true, options)
    images.push(...meanings.filter(({ digest }) => mirroredContent.get(digest)?.kind === 'manifest'))
  }
  return images
}

/** Adds mirrored content and all mirrored content below it to `tree`. */
export function addTree(tree: Set<Digest>, root: Digest, mirroredContent: MirroredContent): void {
  const found = new Set([root])
  for (const digest of found) {
    const entry = mirroredContent.get(digest)
    if (entry === undefined || tree.has(digest)) continue
    tree.add(digest)
    for (const ref of entry.refs) found.add(ref)
  }
}

/** Bytes of all that is mirrored of `digests`. */
export function bytesOf(digests: Iterable<Digest>, mirroredContent: MirroredContent): number {
  let bytes = 0
  for (const digest of digests) bytes += mirroredContent.get(digest)?.size ?? 0
  return bytes
}
