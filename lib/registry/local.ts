// The registry over the stores of this process: what was pushed here, and what a mirror has fetched.
import type { Readable } from 'node:stream'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { BlobUnknownError, ManifestUnknownError, RegistryError } from '../oci/errors.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { UploadId } from '../oci/upload-id.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { listRepositories } from '../storage/catalog.ts'
import type { StorageDriver, StoragePath } from '../storage/driver/driver.ts'
import { unlessAbsent } from '../storage/driver/unless-absent.ts'
import { layout } from '../storage/layout.ts'
import type { Links } from '../storage/links.ts'
import type { ManifestStore } from '../storage/manifest-store.ts'
import type { MirroredContent } from '../storage/mirrored-content.ts'
import type { RecentUses } from '../storage/recent-uses.ts'
import type { ReferrerIndex } from '../storage/referrer-index.ts'
import type { TagStore } from '../storage/tag-store.ts'
import type { Uploads } from '../storage/uploads.ts'
import { localManifests } from './local-manifests.ts'
import { localReferrers } from './local-referrers.ts'
import { noManifestRules, type ManifestRules } from './manifest-rules.ts'
import { pageOf, type Page, type PageOf } from './page.ts'
import type {
  BlobBody,
  BlobService,
  ManifestService,
  ReferrerService,
  Registry,
  Repository,
  TagService,
  UploadService,
} from './registry.ts'
import { TagGuard } from './tag-guard.ts'
import { createTagPolicy, type TagPolicy } from './tag-policy.ts'

/** The stores that a local registry is made of; the mirror writes into the same ones. */
export interface Stores {
  readonly driver: StorageDriver
  readonly blobs: BlobStore
  readonly links: Links
  readonly manifests: ManifestStore
  /** Which of the content came from upstreams alone. */
  readonly mirroredContent: MirroredContent
  readonly referrers: ReferrerIndex
  readonly tags: TagStore
  readonly uploads: Uploads
  /** What clients rely on to be here, for garbage collection. */
  readonly uses: RecentUses
}

export interface LocalRegistryOptions {
  /** Whether content may be deleted. */
  readonly allowDelete: boolean
  /** How long a redirect to the driver's own URL is good for; undefined: blobs are always served through us. */
  readonly redirectMs?: number | undefined
  /** Default: none. */
  readonly manifestRules?: ManifestRules
  /** Default: every tag may be moved. */
  readonly tagPolicy?: TagPolicy
}

/** The options with their defaults, and what all repositories share. */
interface LocalSettings {
  readonly allowDelete: boolean
  readonly redirectMs: number | undefined
  readonly rules: ManifestRules
  readonly guard: TagGuard
}

export function createLocalRegistry(
  stores: Stores,
  { allowDelete, redirectMs, manifestRules = noManifestRules, tagPolicy }: LocalRegistryOptions,
): Registry {
  const guard = new TagGuard({ policy: tagPolicy ?? createTagPolicy([]), tags: stores.tags })
  const options: LocalSettings = { allowDelete, redirectMs, rules: manifestRules, guard }
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
  readonly #options: LocalSettings

  constructor(stores: Stores, options: LocalSettings, name: RepositoryName) {
    this.#stores = stores
    this.#options = options
    this.name = name
  }

  get blobs(): BlobService {
    return localBlobs(this.#stores, this.#options, this.name)
  }

  get manifests(): ManifestService {
    return localManifests({ ...this.#options, stores: this.#stores }, this.name)
  }

  get tags(): TagService {
    return localTags(this.#stores, this.#options, this.name)
  }

  get referrers(): ReferrerService {
    return localReferrers(this.#stores, this.name)
  }

  get uploads(): UploadService {
    return localUploads(this.#stores, this.name)
  }
}

function localBlobs(stores: Stores, options: LocalSettings, name: RepositoryName): BlobService {
  const { blobs, links, driver } = stores

  /** The stored blob that this repository knows as `digest`. */
  async function resolve(digest: Digest, opts?: CallOptions): Promise<Descriptor> {
    const target = await links.resolve(name, 'layer', digest, opts)
    if (target === undefined) throw new BlobUnknownError(digest)
    return blobs.stat(target, opts)
  }

  return {
    async stat(digest, opts) {
      // Whoever is told that it is here does not push it, and soon refers to it.
      const undo = stores.uses.touch(digest)
      try {
        // Storage is asked, whatever is remembered: a collection in another process may have taken it since.
        const target = await links.lookUp(name, 'layer', digest, opts)
        if (target === undefined) throw new BlobUnknownError(digest)
        if (target !== digest) stores.uses.touch(target)
        const size = await blobs.lookUp(target, opts)
        if (size === undefined) throw new BlobUnknownError(digest)
        return { mediaType: mediaTypes.octetStream, digest, size }
      } catch (err) {
        undo() // Or whoever asks for what is nowhere would fill our memory.
        throw err
      }
    },
    async open(digest, opts): Promise<BlobBody> {
      const stored = await resolve(digest, opts)
      if (options.redirectMs !== undefined && driver.redirectUrl !== undefined) {
        return {
          kind: 'redirect',
          location: await driver.redirectUrl(
            layout.blobContent(stored.digest),
            options.redirectMs,
            opts?.client,
          ),
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

function localTags(stores: Stores, options: LocalSettings, name: RepositoryName): TagService {
  const { driver, tags } = stores
  return {
    async list(page: Page, opts): Promise<PageOf<Tag>> {
      const all = await tags.list(name, opts)
      // distribution-spec end-8a: a repository that is there has a list, if only an empty one.
      if (all === undefined && (await isThere(driver, layout.manifests(name), opts))) return pageOf([], page)
      if (all === undefined) {
        throw new RegistryError('NAME_UNKNOWN', `Cannot list tags of "${name}": it has none`, {
          detail: { name },
        })
      }
      return pageOf(all, page)
    },
    ...(options.allowDelete && {
      async remove(tag: Tag, opts?: CallOptions) {
        const work = () => tags.remove(name, tag, opts)
        if (!(await options.guard.change(name, [tag], undefined, work, opts))) {
          throw new ManifestUnknownError(name, tag)
        }
      },
    }),
  }
}

function localUploads(stores: Stores, name: RepositoryName): UploadService {
  const { blobs, links, uploads, uses } = stores
  return {
    start: opts => uploads.start(name, opts),
    resume: (id: UploadId, opts) => uploads.resume(name, id, opts),
    async mount(digest, from, opts) {
      const target = await links.resolve(from, 'layer', digest, opts)
      if (target === undefined) throw new BlobUnknownError(digest)
      return uses.during(async () => {
        await blobs.claim(target, opts)
        const { size, mediaType } = await blobs.stat(target, opts)
        if ((await links.lookUp(name, 'layer', target, opts)) === undefined) {
          await links.link(name, 'layer', target, opts)
          // A collection in another process may have taken the last link that was there: then the bytes go, too. Our
          // link stays: somebody may have uploaded the same to this repository meanwhile, and rely on it.
          if ((await links.lookUp(from, 'layer', digest)) === undefined) throw new BlobUnknownError(digest)
        }
        return { mediaType, digest: target, size }
      })
    },
  }
}

async function isThere(driver: StorageDriver, path: StoragePath, opts?: CallOptions): Promise<boolean> {
  return (await unlessAbsent(() => driver.stat(path, opts))) !== undefined
}
