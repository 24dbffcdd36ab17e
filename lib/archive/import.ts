// Brings images of an archive into a repository: blobs first, then manifests from the children up, tags last, so that
// whatever breaks off leaves nothing that refers to what is not there. What is there already is left as it is.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions, Descriptor, ManifestEntry } from '../oci/descriptor.ts'
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts'
import { BlobUnknownError, DigestMismatchError, ManifestUnknownError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isNonDistributable } from '../oci/media-types.ts'
import { formatPlatform } from '../oci/platform.ts'
import { digestReference } from '../oci/reference.ts'
import type { Registry, Repository } from '../registry/registry.ts'
import type { ArchiveContents } from './contents.ts'
import { ArchiveError } from './files.ts'
import type { Selected } from './select.ts'

export interface ImportOptions extends CallOptions {
  /** Whether children of an index may be missing in the archive; the registry has to let that pass, too. */
  readonly allowMissing?: boolean | undefined
  readonly observe?: ((event: ImportEvent) => void) | undefined
}

export type ImportEvent =
  | { readonly kind: 'blob'; readonly digest: Digest; readonly size: number; readonly isNew: boolean }
  | { readonly kind: 'manifest'; readonly digest: Digest }
  | { readonly kind: 'missing'; readonly digest: Digest; readonly what: string }

const concurrency = 3
const maxDepth = 8

/** ArchiveError, and what the registry throws. */
export async function importImages(
  registry: Registry,
  contents: ArchiveContents,
  selected: readonly Selected[],
  options: ImportOptions = {},
): Promise<void> {
  const work = new Map<string, Importer>()
  for (const { repository: name, root, tags } of selected) {
    const importer = work.get(name) ?? new Importer(registry.repository(name), contents, options)
    work.set(name, importer)
    if (!(await importer.bring(root, 0)))
      throw new ArchiveError(`Cannot import ${root.digest}: not in the archive`)
    await importer.tag(root, tags)
  }
  for (const importer of work.values()) await importer.bringReferrers()
}

/** What goes to one repository. */
class Importer {
  readonly #repository: Repository
  readonly #contents: ArchiveContents
  readonly #options: ImportOptions
  readonly #done = new Set<Digest>()

  constructor(repository: Repository, contents: ArchiveContents, options: ImportOptions) {
    this.#repository = repository
    this.#contents = contents
    this.#options = options
  }

  /** Whether the manifest is there now: false if neither archive nor repository has it. */
  async bring(entry: ManifestEntry, depth: number): Promise<boolean> {
    const { digest, mediaType, size } = entry
    if (this.#done.has(digest)) return true
    if (depth > maxDepth)
      throw new ArchiveError(`Cannot import ${digest}: indexes lie too deep in each other`)
    const { signal, observe } = this.#options
    const bytes = await this.#contents.manifest(digest)
    if (bytes === undefined) return await this.#hasManifest(digest)
    verify(bytes, { digest, mediaType, size })
    const content = parseManifest(bytes, mediaType)
    for (const child of content.manifests) {
      if (!(await this.bring(child, depth + 1))) this.#lack(entry, child)
    }
    const blobs = [...new Map(content.blobs.map(blob => [blob.digest, blob])).values()]
    await inParallel(concurrency, blobs, blob => this.#bringBlob(blob))
    await this.#repository.manifests.put(bytes, content.mediaType, digestReference(digest), { signal })
    this.#done.add(digest)
    observe?.({ kind: 'manifest', digest })
    return true
  }

  async tag({ digest }: Descriptor, tags: Selected['tags']): Promise<void> {
    if (tags.length === 0) return
    const { manifests } = this.#repository
    const { signal } = this.#options
    const { bytes, descriptor } = await manifests.get(digestReference(digest), { signal })
    await manifests.put(bytes, descriptor.mediaType, digestReference(digest), { signal, tags })
  }

  /** What lies in the archive without a name, such as signatures, if its subject was brought. */
  async bringReferrers(): Promise<void> {
    let before = -1
    // Referrers may have referrers.
    while (before !== this.#done.size) {
      before = this.#done.size
      for (const { names, root } of this.#contents.images) {
        if (names.length > 0 || this.#done.has(root.digest)) continue
        const bytes = await this.#contents.manifest(root.digest)
        if (bytes === undefined) continue
        verify(bytes, root)
        const { subject } = parseManifest(bytes, root.mediaType)
        if (subject !== undefined && this.#done.has(subject.digest)) await this.bring(root, 0)
      }
    }
  }

  async #bringBlob({ digest, size, mediaType, urls }: ManifestEntry): Promise<void> {
    const { signal, observe } = this.#options
    if (await this.#hasBlob(digest)) return observe?.({ kind: 'blob', digest, size, isNew: false })
    const found = await this.#contents.blobSize(digest)
    if (found === undefined) {
      // Clients fetch it from elsewhere.
      if (isNonDistributable(mediaType) && urls?.length)
        return observe?.({ kind: 'missing', digest, what: mediaType })
      throw new ArchiveError(`Cannot import blob ${digest}: not in the archive`)
    }
    if (found !== size)
      throw new ArchiveError(`Cannot import blob ${digest}: has ${found} bytes instead of ${size}`)
    await this.#upload(digest, size)
    observe?.({ kind: 'blob', digest, size, isNew: true })
    signal?.throwIfAborted()
  }

  async #upload(digest: Digest, sizeBytes: number): Promise<void> {
    const { signal } = this.#options
    const { uploads } = this.#repository
    if (uploads === undefined) throw new ArchiveError('Cannot import: this registry takes no uploads')
    const session = await uploads.start({ algorithm: algorithmOf(digest), signal })
    try {
      const content = await this.#contents.openBlob(digest)
      try {
        await session.append(content, 0, { sizeBytes, signal })
      } finally {
        content.destroy()
      }
      await session.complete(digest, { signal })
    } catch (err) {
      await session.cancel().catch(() => {})
      throw err
    }
  }

  async #hasBlob(digest: Digest): Promise<boolean> {
    const { signal } = this.#options
    return await isKnown(() => this.#repository.blobs.stat(digest, { signal }))
  }

  async #hasManifest(digest: Digest): Promise<boolean> {
    const { signal } = this.#options
    return await isKnown(() => this.#repository.manifests.stat(digestReference(digest), { signal }))
  }

  #lack(index: Descriptor, { digest, platform }: ManifestEntry): void {
    const what = platform === undefined ? 'manifest' : formatPlatform(platform)
    if (this.#options.allowMissing !== true)
      throw new ArchiveError(
        `Cannot import ${index.digest}: ${what} (${digest}) is not in the archive; --allow-missing does without`,
      )
    this.#options.observe?.({ kind: 'missing', digest, what })
  }
}

function verify(bytes: Buffer, { digest, size }: Descriptor): void {
  const found = digestOf(bytes, algorithmOf(digest))
  if (found !== digest) throw new DigestMismatchError(digest, found)
  if (bytes.length !== size)
    throw new ArchiveError(`Cannot import ${digest}: has ${bytes.length} bytes instead of ${size}`)
}

async function isKnown(look: () => Promise<unknown>): Promise<boolean> {
  try {
    await look()
    return true
  } catch (err) {
    if (err instanceof BlobUnknownError || err instanceof ManifestUnknownError) return false
    throw err
  }
}
