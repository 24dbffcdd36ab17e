// A repository without what was mirrored into it: for names that are reserved for pushes, that an upstream's patterns
// leave out, or whose upstream is not configured any more. What lies here from before is not given out.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { BlobUnknownError, ManifestUnknownError } from '../oci/errors.ts'
import { formatReference, type Reference } from '../oci/reference.ts'
import { pageOf } from '../registry/page.ts'
import type {
  BlobService,
  ManifestService,
  ReferrerService,
  Repository,
  TagService,
} from '../registry/registry.ts'
import type { MirroredTags } from '../storage/mirrored-tags.ts'

export interface PushedOnlyDeps {
  /** Whether content came from an upstream and was pushed by nobody. */
  isMirrored(digest: Digest, options?: CallOptions): Promise<boolean>
  readonly mirroredTags: Pick<MirroredTags, 'get'>
}

/** How many records of tags are read at once. */
const concurrency = 8

export function pushedOnly(hosted: Repository, { isMirrored, mirroredTags }: PushedOnlyDeps): Repository {
  const { name, blobs, manifests, tags, referrers, uploads } = hosted

  async function checkBlob(digest: Digest, options?: CallOptions): Promise<void> {
    if (await isMirrored(digest, options)) throw new BlobUnknownError(digest)
  }

  /** What is asked for by digest is refused before it is looked for, and a tag by what it means. */
  async function checked<T>(
    reference: Reference,
    look: () => Promise<T>,
    digestOf: (found: T) => Digest,
    options?: CallOptions,
  ): Promise<T> {
    const unknown = () => new ManifestUnknownError(name, formatReference(reference))
    if (reference.kind === 'digest' && (await isMirrored(reference.digest, options))) throw unknown()
    const found = await look()
    if (await isMirrored(digestOf(found), options)) throw unknown()
    return found
  }

  const pushedBlobs: BlobService = {
    ...blobs,
    async stat(digest, options) {
      await checkBlob(digest, options)
      return blobs.stat(digest, options)
    },
    async open(digest, options) {
      await checkBlob(digest, options)
      return blobs.open(digest, options)
    },
  }
  const pushedManifests: ManifestService = {
    ...manifests,
    get: (reference, options) =>
      checked(
        reference,
        () => manifests.get(reference, options),
        found => found.descriptor.digest,
        options,
      ),
    stat: (reference, options) =>
      checked(
        reference,
        () => manifests.stat(reference, options),
        found => found.digest,
        options,
      ),
  }
  const pushedTags: TagService = {
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
  const pushedReferrers: ReferrerService = {
    async list(subject, filter, page, options) {
      const listed = await referrers.list(subject, filter, page, options)
      const hidden = await inParallel(concurrency, listed.items, ({ digest }) => isMirrored(digest, options))
      return { ...listed, items: listed.items.filter((_, index) => hidden[index] !== true) }
    },
  }
  return {
    name,
    blobs: pushedBlobs,
    manifests: pushedManifests,
    tags: pushedTags,
    referrers: pushedReferrers,
    uploads,
  }
}
