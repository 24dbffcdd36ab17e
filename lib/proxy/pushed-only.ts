// A repository without what was mirrored into it: for names that are reserved for pushes, that an upstream's patterns
// leave out, or whose upstream is not configured any more. What lies here from before is not given out.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { BlobUnknownError, ManifestUnknownError } from '../oci/errors.ts'
import { formatReference, type Reference } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { pageOf } from '../registry/page.ts'
import type {
  BlobService,
  ManifestService,
  ReferrerService,
  Repository,
  TagService,
  UploadService,
} from '../registry/registry.ts'
import type { MirroredTags } from '../storage/mirrored-tags.ts'

export interface Withheld {
  /** Whether what was mirrored into a repository is given out there. */
  readonly isShown: (name: RepositoryName) => boolean
  /** Whether content came from an upstream and was pushed by nobody. */
  readonly isMirrored: (digest: Digest, options?: CallOptions) => Promise<boolean>
  readonly mirroredTags: Pick<MirroredTags, 'get'>
}

/** How many records of tags are read at once. */
const concurrency = 8

/** Its services are made when they are asked for: a request needs one or two of them. */
export class PushedOnlyRepository implements Repository {
  readonly #hosted: Repository
  readonly #withheld: Withheld

  constructor(hosted: Repository, withheld: Withheld) {
    this.#hosted = hosted
    this.#withheld = withheld
  }

  get name(): RepositoryName {
    return this.#hosted.name
  }

  get blobs(): BlobService {
    const { blobs } = this.#hosted
    const check = async (digest: Digest, options?: CallOptions) => {
      if (await this.#withheld.isMirrored(digest, options)) throw new BlobUnknownError(digest)
    }
    return {
      ...blobs,
      async stat(digest, options) {
        await check(digest, options)
        return blobs.stat(digest, options)
      },
      async open(digest, options) {
        await check(digest, options)
        return blobs.open(digest, options)
      },
    }
  }

  get manifests(): ManifestService {
    const { manifests } = this.#hosted
    return {
      ...manifests,
      get: (reference, options) =>
        this.#checked(
          reference,
          () => manifests.get(reference, options),
          found => found.descriptor.digest,
          options,
        ),
      stat: (reference, options) =>
        this.#checked(
          reference,
          () => manifests.stat(reference, options),
          found => found.digest,
          options,
        ),
    }
  }

  get tags(): TagService {
    const { name, tags } = this.#hosted
    const { mirroredTags } = this.#withheld
    return {
      ...tags,
      async list(page, options) {
        const { items } = await tags.list({}, options)
        const records = await inParallel(concurrency, items, tag => mirroredTags.get(name, tag, options))
        return pageOf(
          items.filter((_, index) => records[index] === undefined),
          page,
        )
      },
    }
  }

  get referrers(): ReferrerService {
    const { referrers } = this.#hosted
    const { isMirrored } = this.#withheld
    return {
      async list(subject, filter, page, options) {
        const listed = await referrers.list(subject, filter, page, options)
        const hidden = await inParallel(concurrency, listed.items, ({ digest }) =>
          isMirrored(digest, options),
        )
        return { ...listed, items: listed.items.filter((_, index) => hidden[index] !== true) }
      },
    }
  }

  get uploads(): UploadService | undefined {
    return shownUploads(this.#hosted, this.#withheld)
  }

  /** What is asked for by digest is refused before it is looked for, and a tag by what it means. */
  async #checked<T>(
    reference: Reference,
    look: () => Promise<T>,
    digestOf: (found: T) => Digest,
    options?: CallOptions,
  ): Promise<T> {
    const { isMirrored } = this.#withheld
    const unknown = () => new ManifestUnknownError(this.name, formatReference(reference))
    if (reference.kind === 'digest' && (await isMirrored(reference.digest, options))) throw unknown()
    const found = await look()
    if (await isMirrored(digestOf(found), options)) throw unknown()
    return found
  }
}

/** What a repository does not give out is not mounted from it either, into whichever. */
export function shownUploads(
  { uploads }: Repository,
  { isShown, isMirrored }: Withheld,
): UploadService | undefined {
  return (
    uploads && {
      ...uploads,
      async mount(digest, from, options) {
        if (!isShown(from) && (await isMirrored(digest, options))) throw new BlobUnknownError(digest)
        return uploads.mount(digest, from, options)
      },
    }
  )
}
