// What an image is made of, found by reading its manifests: everything that an archive of it has to hold.
import type { CallOptions, Descriptor, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { BlobUnknownError, ManifestUnknownError } from '../oci/errors.ts'
import { parseManifest, type Manifest } from '../oci/manifest.ts'
import { entriesFor, formatPlatform } from '../oci/platform.ts'
import type { Platform } from '../oci/descriptor.ts'
import { isNonDistributable } from '../oci/media-types.ts'
import { digestReference, type Reference } from '../oci/reference.ts'
import type { Repository } from '../registry/registry.ts'
import { ArchiveError } from './files.ts'

export interface Gathered {
  readonly root: Descriptor
  /** Those that name the image, or one of its parts, as their subject. */
  readonly referrers: readonly Descriptor[]
  /** Size and kind of all content by digest. */
  readonly parts: ReadonlyMap<Digest, Part>
  /** What is not there. */
  readonly missing: readonly Descriptor[]
}

export interface Part {
  readonly kind: 'manifest' | 'blob'
  readonly size: number
}

export interface GatherOptions extends CallOptions {
  readonly withReferrers?: boolean | undefined
  /** Of an index only what is for this one. */
  readonly platform?: Platform | undefined
}

const maxReferrers = 10_000
const maxDepth = 8

/** ManifestUnknownError; ArchiveError. */
export async function gather(
  repository: Repository,
  reference: Reference,
  { withReferrers = false, platform, signal }: GatherOptions = {},
): Promise<Gathered> {
  const parts = new Map<Digest, Part>()
  const missing = new Map<Digest, Descriptor>()
  const referrers: Descriptor[] = []

  async function addManifest({ descriptor, bytes }: Manifest, depth: number): Promise<void> {
    const { digest, size } = descriptor
    if (parts.has(digest)) return
    if (depth > maxDepth)
      throw new ArchiveError(`Cannot export ${digest}: indexes lie too deep in each other`)
    parts.set(digest, { kind: 'manifest', size })
    const { manifests, blobs } = parseManifest(bytes)
    for (const entry of manifests) await addChild(entry, depth + 1)
    for (const entry of blobs) await addBlob(entry)
    if (withReferrers) await addReferrers(digest, depth)
  }

  async function addChild(entry: ManifestEntry, depth: number): Promise<void> {
    const child = await unlessUnknown(() =>
      repository.manifests.get(digestReference(entry.digest), { signal }),
    )
    if (child === undefined) missing.set(entry.digest, entry)
    else await addManifest(child, depth)
  }

  async function addBlob(entry: ManifestEntry): Promise<void> {
    if (parts.has(entry.digest)) return
    const found = await unlessUnknown(() => repository.blobs.stat(entry.digest, { signal }))
    if (found !== undefined) parts.set(entry.digest, { kind: 'blob', size: found.size })
    else if (!(isNonDistributable(entry.mediaType) && entry.urls?.length)) missing.set(entry.digest, entry)
  }

  async function addReferrers(subject: Digest, depth: number): Promise<void> {
    for (let after: string | undefined; ;) {
      const page = await repository.referrers.list(subject, {}, { after }, { signal })
      for (const { mediaType, digest, size } of page.items) {
        if (parts.has(digest)) continue
        if (referrers.push({ mediaType, digest, size }) > maxReferrers)
          throw new ArchiveError(`Cannot export: more than ${maxReferrers} referrers`)
        await addChild({ mediaType, digest, size }, depth + 1)
      }
      after = page.items.at(-1)?.digest
      if (!page.more || after === undefined) return
    }
  }

  const found = await repository.manifests.get(reference, { signal })
  const top = platform === undefined ? found : await pick(repository, found, platform, signal)
  await addManifest(top, 0)
  return { root: top.descriptor, referrers, parts, missing: [...missing.values()] }
}

/** The image for a platform; what is no index is taken as it is. */
export async function pick(
  repository: Repository,
  manifest: Manifest,
  platform: Platform,
  signal?: AbortSignal,
): Promise<Manifest> {
  const { manifests } = parseManifest(manifest.bytes)
  if (manifests.length === 0) return manifest
  const [entry] = entriesFor(platform, manifests)
  if (entry === undefined)
    throw new ArchiveError(
      `Cannot export ${manifest.descriptor.digest}: it has nothing for ${formatPlatform(platform)}`,
    )
  const child = await repository.manifests.get(digestReference(entry.digest), { signal })
  return await pick(repository, child, platform, signal)
}

async function unlessUnknown<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (err) {
    if (err instanceof BlobUnknownError || err instanceof ManifestUnknownError) return undefined
    throw err
  }
}
