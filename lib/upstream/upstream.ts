// The contract of an upstream: one registry elsewhere that content is fetched from. Implemented by client.ts over
// HTTP; failover.ts puts several behind one.
import type { CallOptions, Descriptor, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Manifest } from '../oci/manifest.ts'
import type { Reference, Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Budget } from './rate-budget.ts'

/** Everything here throws UpstreamError (upstream/errors.ts). */
export interface Upstream {
  /** Host name for logs and metrics: never with credentials. */
  readonly name: string
  /** HEAD. `size` comes from Content-Length. */
  statBlob(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<Descriptor>
  /**
   * GET; resolves when the headers are in. `start` asks for the rest of the blob from there; the body yields from
   * exactly there also where the upstream ignores ranges. The caller reads the body to its end or disposes of it.
   */
  openBlob(
    name: RepositoryName,
    digest: Digest,
    options?: CallOptions & { readonly start?: number },
  ): Promise<UpstreamBody>
  /**
   * A verified manifest: its bytes hash to its digest, and to the reference if that is a digest. With `known`, the
   * tag is asked with HEAD first (free at Docker Hub) and 'unchanged' says that it still is that digest.
   */
  manifest(
    name: RepositoryName,
    reference: Reference,
    options?: CallOptions & { readonly known?: Digest },
  ): Promise<Manifest | 'unchanged'>
  /** HEAD, or GET where HEAD does not tell the digest. */
  statManifest(name: RepositoryName, reference: Reference, options?: CallOptions): Promise<Descriptor>
  /**
   * All manifests that name `digest` as their subject, as the upstream describes them, in no particular order: from its
   * API, else from the tag of the fallback scheme. None where it knows neither.
   */
  referrers(name: RepositoryName, digest: Digest, options?: CallOptions): Promise<readonly ManifestEntry[]>
  /** All tags, in no particular order. */
  tags(name: RepositoryName, options?: CallOptions): Promise<readonly Tag[]>
  /** What was opened last of a blob is not that blob: it is opened elsewhere first, where there is a choice. */
  distrust?(digest: Digest): void
  /** What is left of its rate limit, where it has told of one lately. */
  budget?(): Budget | undefined
  /** How each URL behind this is doing, in order of preference, where somebody keeps count. */
  states?(): readonly UpstreamState[]
  close(): Promise<void>
}

/** How one URL of an upstream is doing, as operators are shown it. */
export interface UpstreamState {
  /** As Upstream.name. */
  readonly host: string
  readonly circuit: CircuitState
  readonly budget: Budget | undefined
}

/** Whether a URL is asked at this moment: `half-open` is a trial with one question. */
export interface CircuitState {
  readonly kind: 'closed' | 'open' | 'half-open'
  /** Epoch milliseconds: when the trial may begin; absent while closed. */
  readonly untilMs?: number
  /** Message of the last failure, if nothing good has come since. */
  readonly lastFailure?: string
  /** Epoch milliseconds of the last answer, whatever it was. */
  readonly lastAnsweredAtMs?: number
}

/** A body under way: bytes from `start` on, in batches of chunks. Breaking off errs; it never just ends early. */
export interface UpstreamBody extends AsyncIterable<readonly Uint8Array[]> {
  /** Size of the whole blob in bytes, if the headers told. */
  readonly size: number | undefined
  /** Frees the connection; idempotent, also fine after the end. */
  dispose(): Promise<void>
}
