// The nouns that every layer above speaks: Registry, Repository and its services. The local registry, the pull-through
// registry and wrappers around them all implement these, so that no handler knows which it talks to.
// An absent optional member is something this registry does not do; handlers answer UNSUPPORTED for it.
import type { Readable } from 'node:stream'
import type { ByteRange } from '../oci/byte-range.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
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
  readonly blobs: BlobService
  readonly manifests: ManifestService
  readonly tags: TagService
  readonly uploads?: UploadService | undefined
}

export interface BlobService {
  /** BlobUnknownError; UpstreamError. `mediaType` is application/octet-stream. */
  stat(digest: Digest, options?: CallOptions): Promise<Descriptor>
  /** BlobUnknownError, UpstreamError. Nothing is held until the body's read() is called. */
  open(digest: Digest, options?: CallOptions): Promise<BlobBody>
  /** BlobUnknownError. Unlinks the blob from this repository; its bytes go with garbage collection. */
  remove?(digest: Digest, options?: CallOptions): Promise<void>
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

/** A manifest as it is given out. */
export interface ServedManifest extends Manifest {
  /** Set where a mirror could not ask its upstream: why what it gives may be out of date. */
  readonly stale?: string | undefined
}

export interface ManifestService {
  /** ManifestUnknownError, UpstreamError. */
  get(reference: Reference, options?: CallOptions): Promise<ServedManifest>
  /** What `get` would answer, without the bytes where that saves work. */
  stat(reference: Reference, options?: CallOptions): Promise<Descriptor & Pick<ServedManifest, 'stale'>>
  /**
   * Stores the bytes as they are and, for a tag, moves the tag to them. RegistryError MANIFEST_INVALID,
   * DigestMismatchError, ReferencesUnknownError.
   */
  put(bytes: Buffer, contentType: string, reference: Reference, options?: CallOptions): Promise<Descriptor>
  /** ManifestUnknownError. Removes the manifest from this repository and every tag that points to it. */
  remove?(digest: Digest, options?: CallOptions): Promise<void>
}

export interface TagService {
  /** RegistryError NAME_UNKNOWN if the repository has no tags and never had. */
  list(page: Page, options?: CallOptions): Promise<PageOf<Tag>>
  /** ManifestUnknownError. Leaves the manifest. */
  remove?(tag: Tag, options?: CallOptions): Promise<void>
}

export interface UploadService {
  start(options?: CallOptions): Promise<UploadSession>
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
