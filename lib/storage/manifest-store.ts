// Manifests: blobs that are linked as revisions of a repository. Their bytes never change under a digest, so that those
// read lately are kept in memory; whether a repository holds one is asked of its link each time.
import { LRUCache } from 'lru-cache'
import { inParallel } from '../in-parallel.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { CallOptions, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { BlobUnknownError, ReferencesUnknownError, RegistryError } from '../oci/errors.ts'
import { maxManifestBytes, parseManifest, type Manifest, type ManifestContent } from '../oci/manifest.ts'
import { isNonDistributable } from '../oci/media-types.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { BlobStore } from './blob-store.ts'
import type { LinkKind } from './descriptor-cache.ts'
import type { Links } from './links.ts'
import { subjectOf, type ReferrerIndex } from './referrer-index.ts'

export interface ManifestStore {
  /** Undefined if this repository does not hold it. */
  get(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<Manifest | undefined>
  /** Whether this repository holds it, without reading it. */
  holds(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<boolean>
  /**
   * Stores bytes whose digest was verified, and links them; a subject is indexed before. What they refer to is not
   * looked at. `mirrored`: they came from an upstream, and may be evicted; such a call must not come from within
   * exclusively(), which it runs in itself.
   */
  store(
    name: RepositoryName,
    bytes: Buffer,
    digest: Digest,
    options?: CallOptions & { readonly mirrored?: boolean | undefined },
  ): Promise<void>
  /**
   * For a manifest that is pushed: whatever of this repository it refers to, and what that refers to, is never evicted
   * from now on. checkReferences() comes before it, and once more after it: that says what is there still.
   */
  claim(name: RepositoryName, content: ManifestContent, options?: CallOptions): Promise<void>
  /**
   * Throws ReferencesUnknownError, naming all, if the repository lacks what the manifest refers to. What one of an
   * unknown type does mean by its references is not for us to say. `isFresh`: storage is asked, whatever is remembered.
   */
  checkReferences(
    name: RepositoryName,
    content: ManifestContent,
    options?: CallOptions & { readonly isFresh?: boolean | undefined },
  ): Promise<void>
  /** Unlinks it from this repository; returns whether it was linked. */
  remove(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<boolean>
  /** Its bytes have gone from storage. */
  forget(digest: Digest): void
  /** For work that changes a manifest together with its tags: one at a time, or a tag could be left without it. */
  exclusively<T>(
    name: RepositoryName,
    digest: Digest,
    work: () => Promise<T>,
    options?: CallOptions,
  ): Promise<T>
}

/** How many references of a manifest are looked for at once. */
const looksAtOnce = 8

export interface ManifestStoreDeps {
  readonly blobs: BlobStore
  readonly links: Links
  readonly referrers: Pick<ReferrerIndex, 'add'>
  /** Bytes of manifests kept in memory. */
  readonly cacheBytes?: number
}

export function createManifestStore({
  blobs,
  links,
  referrers,
  cacheBytes = 32 * 1024 * 1024,
}: ManifestStoreDeps): ManifestStore {
  const recent = new LRUCache<Digest, Manifest>({
    maxSize: cacheBytes,
    sizeCalculation: manifest => manifest.bytes.length + 512,
  })

  const changes = new KeyedLock()
  let evictions = 0 // What was read before one must not be remembered after it.

  async function read(digest: Digest, options?: CallOptions): Promise<Manifest | undefined> {
    const known = recent.get(digest)
    if (known !== undefined) return known
    const before = evictions
    let bytes: Buffer
    try {
      bytes = await blobs.readAll(digest, options)
    } catch (err) {
      if (err instanceof BlobUnknownError) return undefined
      throw err
    }
    if (bytes.length > maxManifestBytes) {
      throw new RegistryError(
        'UNKNOWN',
        `Cannot serve manifest "${digest}": ${bytes.length} bytes are too many`,
      )
    }
    const { mediaType } = parseManifest(bytes)
    const manifest = { descriptor: { mediaType, digest, size: bytes.length }, bytes }
    if (evictions === before) recent.set(digest, manifest)
    return manifest
  }

  const exclusively: ManifestStore['exclusively'] = (name, digest, work, options) =>
    changes.run(`${name}@${digest}`, work, options)

  /** `seen` are manifests that were claimed with all below them: a manifest may be a child of several. */
  async function claim(
    name: RepositoryName,
    { blobs: parts, manifests: children }: ManifestContent,
    options: CallOptions | undefined,
    seen: Set<Digest>,
  ): Promise<void> {
    for (const { digest } of parts) {
      const target = await links.resolve(name, 'layer', digest, options)
      if (target !== undefined) await blobs.claim(target, options)
    }
    for (const { digest } of children) {
      const target = await links.resolve(name, 'manifest', digest, options)
      if (target === undefined || seen.has(target)) continue
      seen.add(target)
      await blobs.claim(target, options)
      const child = await read(target, options)
      if (child !== undefined) await claim(name, parseManifest(child.bytes), options, seen)
    }
  }

  async function isMissing(
    name: RepositoryName,
    entry: ManifestEntry,
    { isFresh, ...options }: CallOptions & { readonly isFresh?: boolean | undefined },
  ): Promise<boolean> {
    if (isNonDistributable(entry.mediaType) && entry.urls?.length) return false
    if (isFresh === true) return isGone(name, 'layer', entry.digest, options)
    const target = await links.resolve(name, 'layer', entry.digest, options)
    return target === undefined || (await blobs.find(target, options)) === undefined
  }

  async function isChildMissing(
    name: RepositoryName,
    digest: Digest,
    { isFresh, ...options }: CallOptions & { readonly isFresh?: boolean | undefined },
  ): Promise<boolean> {
    if (isFresh === true) return isGone(name, 'manifest', digest, options)
    const target = await links.resolve(name, 'manifest', digest, options)
    return target === undefined || (await read(target, options)) === undefined
  }

  async function isGone(
    name: RepositoryName,
    kind: LinkKind,
    digest: Digest,
    options: CallOptions,
  ): Promise<boolean> {
    const target = await links.lookUp(name, kind, digest, options)
    return target === undefined || (await blobs.lookUp(target, options)) === undefined
  }

  return {
    async get(name, digest, options) {
      const target = await links.resolve(name, 'manifest', digest, options)
      return target === undefined ? undefined : read(target, options)
    },
    async holds(name, digest, options) {
      return (await links.resolve(name, 'manifest', digest, options)) !== undefined
    },
    async store(name, bytes, digest, { mirrored = false, ...options } = {}) {
      const work = async () => {
        const marker = { kind: 'manifest' as const, repositories: [name], refs: referencesOf(bytes) }
        await blobs.put(bytes, digest, mirrored ? { ...options, mirrored: marker } : options)
        const subject = subjectOf(bytes)
        if (subject !== undefined) await referrers.add(name, subject, digest, options)
        await links.link(name, 'manifest', digest, options)
      }
      await (mirrored ? exclusively(name, digest, work, options) : work())
    },
    claim: (name, content, options) => claim(name, content, options, new Set()),
    async checkReferences(name, content, options = {}) {
      if (!content.isKnownType) return
      const entries = [...content.blobs, ...content.manifests]
      const looks = [
        ...content.blobs.map(entry => () => isMissing(name, entry, options)),
        ...content.manifests.map(
          ({ digest }) =>
            () =>
              isChildMissing(name, digest, options),
        ),
      ]
      const found = await inParallel(looksAtOnce, looks, look => look())
      const missing = new Set(entries.filter((_, at) => found[at] === true).map(({ digest }) => digest))
      if (missing.size > 0) throw new ReferencesUnknownError([...missing])
    },
    remove: (name, digest, options) => links.unlink(name, 'manifest', digest, options),
    forget(digest) {
      evictions++
      recent.delete(digest)
    },
    exclusively,
  }
}

/** What a manifest is made of; nothing for bytes that are none. */
function referencesOf(bytes: Buffer): readonly Digest[] {
  try {
    const { blobs, manifests } = parseManifest(bytes)
    return [...new Set([...blobs, ...manifests].map(({ digest }) => digest))]
  } catch (err) {
    if (err instanceof RegistryError) return []
    throw err
  }
}
