// Which images of an archive are meant, and under which repositories and tags they are stored.
import { parseImageReference } from '../oci/image-reference.ts'
import { isTag, parseTag, type Tag } from '../oci/reference.ts'
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { ArchiveImage } from './contents.ts'
import { ArchiveError } from './files.ts'

export interface Wanted {
  /** In place of the one that the archive names. */
  readonly repository?: string | undefined
  /** The image with this tag, or the tag that the only image is given. */
  readonly tag?: string | undefined
  /** Every image that has a name. */
  readonly all?: boolean | undefined
}

export interface Selected {
  readonly repository: RepositoryName
  readonly root: Descriptor
  readonly tags: readonly Tag[]
}

interface Named {
  readonly repository: RepositoryName | undefined
  readonly tag: Tag | undefined
}

/** ArchiveError where it is not clear which or where. */
export function selectImages(images: readonly ArchiveImage[], wanted: Wanted): readonly Selected[] {
  const tag = wanted.tag === undefined ? undefined : parseTag(wanted.tag)
  const repository = wanted.repository === undefined ? undefined : parseRepositoryName(wanted.repository)
  if (tag !== undefined && wanted.all === true) throw new ArchiveError('Cannot give all images one tag')
  const entries = images.flatMap(({ names, root }) =>
    (names.length === 0 ? [undefined] : names).map(name => ({ root, ...parseName(name) })),
  )
  const named = entries.filter(entry => entry.tag !== undefined || entry.repository !== undefined)
  const candidates = named.length === 0 ? entries : named
  const distinct = new Set(candidates.map(({ root }) => root.digest))
  if (distinct.size === 0) throw new ArchiveError('Cannot import: there is no image in the archive')
  const chosen = (): readonly (Named & { readonly root: Descriptor })[] => {
    if (distinct.size === 1) return tag === undefined ? candidates : candidates.map(one => ({ ...one, tag }))
    if (wanted.all === true) return candidates
    const fitting = tag === undefined ? [] : candidates.filter(one => one.tag === tag)
    if (fitting.length > 0) return fitting
    const names = images.flatMap(image => image.names).slice(0, 20)
    throw new ArchiveError(
      `Cannot import: the archive has ${distinct.size} images; say --all, or --tag with one of ${names.join(', ')}`,
    )
  }
  return grouped(
    chosen().map(one => {
      const name = repository ?? one.repository
      if (name === undefined)
        throw new ArchiveError(
          'Cannot import: the archive does not say the repository; say --repository NAME',
        )
      return { repository: name, root: one.root, tag: one.tag }
    }),
  )
}

/** A registry in the name is where the image was, not where it goes. */
function parseName(name: string | undefined): Named {
  if (name === undefined) return { repository: undefined, tag: undefined }
  if (isTag(name)) return { repository: undefined, tag: name }
  try {
    const { repository, tag } = parseImageReference(name)
    return { repository, tag }
  } catch {
    return { repository: undefined, tag: undefined }
  }
}

function grouped(
  entries: readonly { repository: RepositoryName; root: Descriptor; tag: Tag | undefined }[],
): readonly Selected[] {
  const groups = new Map<string, { repository: RepositoryName; root: Descriptor; tags: Set<Tag> }>()
  for (const { repository, root, tag } of entries) {
    const key: `${RepositoryName}@${Digest}` = `${repository}@${root.digest}`
    const group = groups.get(key) ?? { repository, root, tags: new Set<Tag>() }
    if (tag !== undefined) group.tags.add(tag)
    groups.set(key, group)
  }
  return [...groups.values()].map(({ tags, ...rest }) => ({ ...rest, tags: [...tags] }))
}
