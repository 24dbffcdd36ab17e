// What belongs to an image: the manifests of the wanted platforms, what refers to them if that is wanted, and the blobs
// of all these. Finding out brings the manifests into the store, as it asks the mirror for each of them; the blobs are
// left to the caller. Everything has a bound, since what it follows was written by strangers.
import type { CallOptions, ManifestEntry, Platform } from '../oci/descriptor.ts'
import { algorithmOf, hexOf, type Digest } from '../oci/digest.ts'
import { ManifestUnknownError } from '../oci/errors.ts'
import { isNonDistributable } from '../oci/media-types.ts'
import { parseManifest, type Manifest } from '../oci/manifest.ts'
import { entriesFor, formatPlatform } from '../oci/platform.ts'
import { digestReference, isTag, tagReference, type Reference } from '../oci/reference.ts'
import type { Repository, ServedManifest } from '../registry/registry.ts'

export interface ImageContent {
  readonly root: ServedManifest
  readonly manifests: number
  /** Each once, with its size in bytes as the manifest has it. */
  readonly blobs: ReadonlyMap<Digest, number>
  /** Of the wanted platforms, those that an index does not have. */
  readonly missing: readonly string[]
}

export interface ContentWish {
  readonly platforms: readonly Platform[] | 'all'
  readonly withReferrers: boolean
}

const maxManifests = 1000
/** Referrers of referrers: the signature of a bill of materials. */
const referrerDepth = 2
const referrersPerPage = 100
/** Where cosign keeps what belongs to a manifest, at registries that list no referrers and at others. */
const cosignSuffixes = ['sig', 'att', 'sbom']

/**
 * Throws what the repository throws, and Error where an index has none of the wanted platforms or the image is
 * unreasonably large. Referrers beyond a thousand manifests in all are left out.
 */
export async function findContent(
  repository: Repository,
  reference: Reference,
  { platforms, withReferrers }: ContentWish,
  { signal }: CallOptions = {},
): Promise<ImageContent> {
  const { manifests, referrers } = repository
  const taken = new Set<Digest>()
  const blobs = new Map<Digest, number>()
  const missing = new Set<string>()

  /** Takes a manifest and, of an index, the children that are wanted. */
  async function take({ descriptor, bytes }: Manifest, wanted: ContentWish['platforms']): Promise<void> {
    if (taken.has(descriptor.digest)) return
    if (taken.size >= maxManifests)
      throw new Error(`Cannot follow an image of over ${maxManifests} manifests`)
    taken.add(descriptor.digest)
    const content = parseManifest(bytes, descriptor.mediaType)
    for (const blob of content.blobs) {
      const isElsewhere = isNonDistributable(blob.mediaType) && (blob.urls?.length ?? 0) > 0
      if (!isElsewhere) blobs.set(blob.digest, blob.size)
    }
    for (const digest of choose(content.manifests, wanted)) {
      if (!taken.has(digest)) await take(await manifests.get(digestReference(digest), { signal }), wanted)
    }
  }

  function choose(entries: readonly ManifestEntry[], wanted: ContentWish['platforms']): readonly Digest[] {
    if (wanted === 'all') return entries.map(({ digest }) => digest)
    const chosen = new Set(
      entries.filter(({ platform }) => platform === undefined).map(({ digest }) => digest),
    )
    const absent: string[] = []
    for (const platform of wanted) {
      const found = entriesFor(platform, entries)
      if (found.length === 0) absent.push(formatPlatform(platform))
      for (const { digest } of found) chosen.add(digest)
    }
    if (chosen.size === 0 && entries.length > 0) throw noneOf(absent, entries)
    // An index without platforms lists something else than images for machines.
    if (entries.some(({ platform }) => platform !== undefined)) for (const name of absent) missing.add(name)
    if (withReferrers) for (const digest of attestationsOf(chosen, entries)) chosen.add(digest)
    return [...chosen]
  }

  /** Takes what is there; undefined if nothing is, or there is no room. */
  async function takeIfThere(wanted: Reference): Promise<Digest | undefined> {
    if (taken.size >= maxManifests) return undefined
    try {
      const manifest = await manifests.get(wanted, { signal })
      if (taken.has(manifest.descriptor.digest)) return undefined
      await take(manifest, 'all')
      return manifest.descriptor.digest
    } catch (err) {
      if (err instanceof ManifestUnknownError) return undefined
      throw err
    }
  }

  async function takeReferrers(subject: Digest): Promise<readonly Digest[]> {
    const found: Digest[] = []
    for (let after: string | undefined; taken.size < maxManifests;) {
      const page = { limit: referrersPerPage, ...(after !== undefined && { after }) }
      const { items, more } = await referrers.list(subject, {}, page, { signal })
      for (const { digest } of items) {
        const next = taken.has(digest) ? undefined : await takeIfThere(digestReference(digest))
        if (next !== undefined) found.push(next)
      }
      after = items.at(-1)?.digest
      if (!more || after === undefined) break
    }
    return found
  }

  const root = await manifests.get(reference, { signal })
  await take(root, platforms)
  let subjects: readonly Digest[] = withReferrers ? [...taken] : []
  for (const subject of subjects) {
    for (const tag of cosignTags(subject)) await takeIfThere(tag)
  }
  for (let depth = 0; depth < referrerDepth; depth++) {
    const next: Digest[] = []
    for (const subject of subjects) next.push(...(await takeReferrers(subject)))
    subjects = next
  }
  return { root, manifests: taken.size, blobs, missing: [...missing] }
}

function noneOf(wanted: readonly string[], entries: readonly ManifestEntry[]): Error {
  const there = new Set(
    entries.flatMap(({ platform }) => (platform === undefined ? [] : formatPlatform(platform))),
  )
  return new Error(
    `Cannot find ${wanted.join(' or ')} in the index: it has ${[...there].slice(0, 20).join(', ')}`,
  )
}

/** BuildKit keeps what it attests of an image beside it in the index, under a platform that nobody has. */
function attestationsOf(chosen: ReadonlySet<string>, entries: readonly ManifestEntry[]): readonly Digest[] {
  return entries
    .filter(({ annotations }) => chosen.has(annotations?.['vnd.docker.reference.digest'] ?? ''))
    .map(({ digest }) => digest)
}

function cosignTags(subject: Digest): readonly Reference[] {
  return cosignSuffixes
    .map(suffix => `${algorithmOf(subject)}-${hexOf(subject)}.${suffix}`)
    .filter(isTag)
    .map(tagReference)
}
