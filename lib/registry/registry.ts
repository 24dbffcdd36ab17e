// The nouns that every layer above speaks: Registry, Repository and its services. The local registry, the pull-through
// registry and wrappers around them all implement these, so that no handler knows which it talks to.
// An absent optional member is something this registry does not do; handlers answer UNSUPPORTED for it.
import type { Readable } from 'node:stream'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import type { Manifest } from '../oci/manifest.ts'
import type { Reference, Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { UploadId } from '../oci/upload-id.ts'
import type { ContentReader } from '../streams/content-reader.ts'
import type { Page, PageOf } from './page.ts'

export interface Registry {
  /** Never fails and touches nothing: a repository exists by what is in it. */
  repository(name: RepositoryName): Repository
  /** Repositories that hold a manifest, or did. */
  repositories(page: Page, options?: CallOptions): Promise<PageOf<RepositoryName>>
}

export interface Repository {
  readonly name: RepositoryName
  /** Whether content that is not here is fetched from elsewhere. */
  readonly isMirror?: boolean
  readonly blobs: BlobService
  readonly manifests: ManifestService
  readonly tags: TagService
  readonly referrers: ReferrerService
  readonly uploads?: UploadService | undefined
}

export interface BlobService {
  /** BlobUnknownError; UpstreamError. `mediaType` is application/octet-stream. */
  stat(digest: Digest, options?: CallOptions): Promise<Descriptor>
  /** BlobUnknownError, UpstreamError. Nothing is held until the body's read() is called. */
  open(digest: Digest, options?: OpenOptions): Promise<BlobBody>
  /** BlobUnknownError. Unlinks the blob from this repository; its bytes go with garbage collection. */
  remove?(digest: Digest, options?: CallOptions): Promise<void>
}

export interface OpenOptions extends CallOptions {
  /** The address of who will read it, which may decide where it is sent. */
  readonly client?: string | undefined
}

export type BlobBody =
  | {
      readonly kind: 'bytes'
      readonly digest: Digest
      /** Bytes; undefined while a fill has not been told its size. */
      readonly size: number | undefined
      readonly origin: 'store' | 'fill'
      /**
       * Opens the content; the caller ends or destroys the stream. BlobUnknownError if it has gone meanwhile.
       * The stream errs, and never ends, if the whole range cannot be delivered verified.
       */
      read(range?: ByteRange, options?: CallOptions): Promise<Readable>
      /** Capability: opens the content to be read by position, which is faster. BlobUnknownError. */
      openReader?: ((options?: CallOptions) => Promise<ContentReader>) | undefined
    }
  | { readonly kind: 'redirect'; readonly location: URL }

/** How a mirror came by what it gives. Empty for what was pushed here. */
export interface Provenance {
  /**
   * - `HIT`: it was here, and the upstream need not be asked
   * - `REVALIDATED`: it was here, and the upstream has confirmed it now
   * - `MISS`: it was fetched now
   * - `STALE`: it was here, and its time is over
   */
  readonly cache?: 'HIT' | 'MISS' | 'STALE' | 'REVALIDATED' | undefined
  /** Set with STALE: why the upstream was not asked, or did not tell. */
  readonly stale?: string | undefined
  /** Since the upstream last confirmed it, milliseconds; absent for content that never changes. */
  readonly ageMs?: number | undefined
}

/** A manifest as it is given out. */
export interface ServedManifest extends Manifest, Provenance {}

/** A page of a list as it is given out. */
export interface ServedPage<T> extends PageOf<T>, Provenance {}

/** What was stored. */
export interface PutManifest extends Descriptor {
  /** What the manifest refers to as a whole, if it does: it is among the referrers of that from now on. */
  readonly subject?: Digest | undefined
}

export interface ManifestService {
  /** ManifestUnknownError, UpstreamError. */
  get(reference: Reference, options?: CallOptions): Promise<ServedManifest>
  /** What `get` would answer, without the bytes where that saves work. */
  stat(reference: Reference, options?: CallOptions): Promise<Descriptor & Provenance>
  /**
   * Stores the bytes as they are, and moves to them the tag that `reference` is, and `tags`. RegistryError
   * MANIFEST_INVALID, DigestMismatchError, ReferencesUnknownError, TagImmutableError.
   */
  put(
    bytes: Buffer,
    contentType: string,
    reference: Reference,
    options?: CallOptions & { readonly tags?: readonly Tag[] },
  ): Promise<PutManifest>
  /**
   * ManifestUnknownError, TagImmutableError. Removes the manifest from this repository and every tag that points to it,
   * which it returns.
   */
  remove?(digest: Digest, options?: CallOptions): Promise<readonly Tag[]>
}

export interface TagService {
  /** RegistryError NAME_UNKNOWN if the repository has no tags and never had. */
  list(page: Page, options?: CallOptions): Promise<ServedPage<Tag>>
  /** ManifestUnknownError, TagImmutableError. Leaves the manifest. */
  remove?(tag: Tag, options?: CallOptions): Promise<void>
}

export interface ReferrerService {
  /**
   * The manifests of this repository that name `subject`, which need not exist, in byte order of their digests. Each
   * has its own artifact type (for an image without one: its config's media type) and annotations. A page may have
   * fewer than `limit` entries although more follow: see referrer-page.ts. `after` is compared with digests.
   */
  list(
    subject: Digest,
    filter: ReferrerFilter,
    page: Page,
    options?: CallOptions,
  ): Promise<ServedPage<ManifestEntry>>
}

export interface ReferrerFilter {
  readonly artifactType?: string | undefined
}

export interface UploadService {
  /** `algorithm` is of the digest that will complete the session, sha256 unless told; a wrong one costs time only. */
  start(options?: CallOptions & { readonly algorithm?: DigestAlgorithm | undefined }): Promise<UploadSession>
  /** RegistryError BLOB_UPLOAD_UNKNOWN. The session is the caller's alone until its promise-returning calls settle. */
  resume(id: UploadId, options?: CallOptions): Promise<UploadSession>
  /** Links a blob of another repository into this one. BlobUnknownError. */
  mount(digest: Digest, from: RepositoryName, options?: CallOptions): Promise<Descriptor>
}

export interface UploadSession {
  readonly id: UploadId
  readonly startedAtMs: number
  /** Bytes received so far. */
  readonly offset: number
  /**
   * Appends a body that starts at `at`; returns the new offset. A body that breaks off keeps what came before.
   * RegistryError RANGE_INVALID if `at` is not the offset, SizeMismatchError if `sizeBytes` is given and does not hold.
   */
  append(
    body: Readable,
    at: number,
    options?: CallOptions & { readonly sizeBytes?: number | undefined },
  ): Promise<number>
  /** Verifies, makes the blob visible in this repository and ends the session. DigestMismatchError leaves the session. */
  complete(digest: Digest, options?: CallOptions): Promise<Descriptor>
  cancel(): Promise<void>
}
