// The registry over the stores of this process: what was pushed here, and what a mirror has fetched.
import type { Readable } from 'node:stream'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts'
import { BlobUnknownError, DigestMismatchError, ManifestUnknownError, RegistryError } from '../oci/errors.ts'
import { parseManifest, type Manifest } from '../oci/manifest.ts'
import { manifestMediaTypes } from '../oci/media-types.ts'
import { formatReference, type Reference, type Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { UploadId } from '../oci/upload-id.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { listRepositories } from '../storage/catalog.ts'
import type { StorageDriver } from '../storage/driver/driver.ts'
import { layout } from '../storage/layout.ts'
import type { Links } from '../storage/links.ts'
import type { ManifestStore } from '../storage/manifest-store.ts'
import type { TagStore } from '../storage/tag-store.ts'
import type { Uploads } from '../storage/uploads.ts'
import { pageOf, type Page, type PageOf } from './page.ts'
import type {
  BlobBody,
  BlobService,
  ManifestService,
  Registry,
  Repository,
  TagService,
  UploadService,
} from './registry.ts'

/** The stores that a local registry is made of; the mirror writes into the same ones. */
export interface Stores {
  readonly driver: StorageDriver
  readonly blobs: BlobStore
  readonly links: Links
  readonly manifests: ManifestStore
  readonly tags: TagStore
  readonly uploads: Uploads
}

export interface LocalRegistryOptions {
  /** Whether content may be deleted. */
  readonly allowDelete: boolean
  /** How long a redirect to the driver's own URL is good for; undefined: blobs are always served through us. */
  readonly redirectMs?: number | undefined
}

export function createLocalRegistry(stores: Stores, options: LocalRegistryOptions): Registry {
  return {
    repository: name => new LocalRepository(stores, options, name),
    async repositories(page, opts): Promise<PageOf<RepositoryName>> {
      return pageOf(await listRepositories(stores.driver, opts), page)
    },
  }
}

/** Its services are made when they are asked for: a request needs one or two of them. */
class LocalRepository implements Repository {
  readonly name: RepositoryName
  readonly #stores: Stores
  readonly #options: LocalRegistryOptions

  constructor(stores: Stores, options: LocalRegistryOptions, name: RepositoryName) {
    this.#stores = stores
    this.#options = options
    this.name = name
  }

  get blobs(): BlobService {
    return localBlobs(this.#stores, this.#options, this.name)
  }

  get manifests(): ManifestService {
    return localManifests(this.#stores, this.#options, this.name)
  }

  get tags(): TagService {
    return localTags(this.#stores, this.#options, this.name)
  }

  get uploads(): UploadService {
    return localUploads(this.#stores, this.name)
  }
}

function localBlobs(stores: Stores, options: LocalRegistryOptions, name: RepositoryName): BlobService {
  const { blobs, links, driver } = stores

  /** The stored blob that this repository knows as `digest`. */
  async function resolve(digest: Digest, opts?: CallOptions): Promise<Descriptor> {
    const target = await links.resolve(name, 'layer', digest, opts)
    if (target === undefined) throw new BlobUnknownError(digest)
    return blobs.stat(target, opts)
  }

  return {
    async stat(digest, opts) {
      return { ...(await resolve(digest, opts)), digest }
    },
    async open(digest, opts): Promise<BlobBody> {
      const stored = await resolve(digest, opts)
      if (options.redirectMs !== undefined && driver.redirectUrl !== undefined) {
        return {
          kind: 'redirect',
          location: await driver.redirectUrl(layout.blobContent(stored.digest), options.redirectMs),
        }
      }
      const read = (range?: ByteRange, readOpts?: CallOptions): Promise<Readable> =>
        blobs.read(stored.digest, range, readOpts)
      const { openReader: open } = blobs
      const openReader = open && ((readOpts?: CallOptions) => open(stored.digest, readOpts))
      return { kind: 'bytes', digest, size: stored.size, origin: 'store', read, openReader }
    },
    ...(options.allowDelete && {
      async remove(digest: Digest, opts?: CallOptions) {
        if (!(await links.unlink(name, 'layer', digest, opts))) throw new BlobUnknownError(digest)
      },
    }),
  }
}

function localManifests(
  stores: Stores,
  options: LocalRegistryOptions,
  name: RepositoryName,
): ManifestService {
  const { manifests, tags } = stores

  async function get(reference: Reference, opts?: CallOptions): Promise<Manifest> {
    const digest =
      reference.kind === 'digest' ? reference.digest : await tags.resolve(name, reference.tag, opts)
    const manifest = digest === undefined ? undefined : await manifests.get(name, digest, opts)
    if (manifest === undefined) throw new ManifestUnknownError(name, formatReference(reference))
    return manifest
  }

  return {
    get,
    async stat(reference, opts) {
      return (await get(reference, opts)).descriptor
    },
    async put(bytes, contentType, reference, opts) {
      const digest = reference.kind === 'digest' ? verified(bytes, reference.digest) : digestOf(bytes)
      const content = parseManifest(bytes, contentType)
      // A manifest goes out under its media type: whoever pushes must not choose one that a browser acts upon.
      if (!manifestMediaTypes.includes(content.mediaType)) {
        const detail = `unsupported manifest media type: "${content.mediaType}"`
        throw new RegistryError('MANIFEST_INVALID', `Cannot accept manifest: ${detail}`, { detail })
      }
      // No media type is stored, so that the one announced must be the one that the bytes will be read as later.
      const { mediaType } = parseManifest(bytes)
      if (mediaType !== content.mediaType) {
        const detail = `mediaType is missing: it would be read as "${mediaType}", not "${content.mediaType}"`
        throw new RegistryError('MANIFEST_INVALID', `Cannot accept manifest: ${detail}`, { detail })
      }
      await manifests.checkReferences(name, content, opts)
      const work = async () => {
        await manifests.store(name, bytes, digest, opts)
        if (reference.kind === 'tag') await tags.set(name, reference.tag, digest, opts)
      }
      await manifests.exclusively(name, digest, work, opts)
      return { mediaType, digest, size: bytes.length }
    },
    ...(options.allowDelete && {
      async remove(digest: Digest, opts?: CallOptions) {
        const work = async () => {
          if (!(await manifests.holds(name, digest, opts))) throw new ManifestUnknownError(name, digest)
          for (const tag of await tags.pointingTo(name, digest, opts)) {
            await tags.remove(name, tag, { ...opts, meaning: digest })
          }
          await manifests.remove(name, digest, opts)
        }
        await manifests.exclusively(name, digest, work, opts)
      },
    }),
  }
}

function localTags(stores: Stores, options: LocalRegistryOptions, name: RepositoryName): TagService {
  const { tags } = stores
  return {
    async list(page: Page, opts): Promise<PageOf<Tag>> {
      const all = await tags.list(name, opts)
      if (all === undefined) {
        throw new RegistryError('NAME_UNKNOWN', `Cannot list tags of "${name}": it has none`, {
          detail: { name },
        })
      }
      return pageOf(all, page)
    },
    ...(options.allowDelete && {
      async remove(tag: Tag, opts?: CallOptions) {
        if (!(await tags.remove(name, tag, opts))) throw new ManifestUnknownError(name, tag)
      },
    }),
  }
}

function localUploads(stores: Stores, name: RepositoryName): UploadService {
  const { blobs, links, uploads } = stores
  return {
    start: opts => uploads.start(name, opts),
    resume: (id: UploadId, opts) => uploads.resume(name, id, opts),
    async mount(digest, from, opts) {
      const target = await links.resolve(from, 'layer', digest, opts)
      if (target === undefined) throw new BlobUnknownError(digest)
      const { size, mediaType } = await blobs.stat(target, opts)
      await links.link(name, 'layer', target, opts)
      return { mediaType, digest: target, size }
    },
  }
}

function verified(bytes: Buffer, expected: Digest): Digest {
  const found = digestOf(bytes, algorithmOf(expected))
  if (found !== expected) throw new DigestMismatchError(expected, found)
  return expected
}
