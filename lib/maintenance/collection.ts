// What a garbage collection is asked for, and what it tells while it runs.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'

export interface CollectDeps {
  readonly stores: Stores
  readonly clock: { now(): number }
  /** Mirrored content is the evictor's to remove. Without one it is content like any other. */
  readonly isMirror: boolean
}

export interface CollectOptions extends CallOptions {
  readonly dryRun: boolean
  /** Whether manifests without a tag go, too: docs/maintenance.md says which. */
  readonly untagged: boolean
  /** What is younger than this when the collection begins stays, milliseconds. */
  readonly graceMs: number
  /** How many files are read at once. */
  readonly concurrency: number
  /** Whether everything that is marked is told. */
  readonly isVerbose: boolean
}

export type CollectEvent =
  | { readonly kind: 'repository'; readonly name: RepositoryName }
  | { readonly kind: 'manifest-marked'; readonly name: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'blob-marked'; readonly name: RepositoryName; readonly digest: Digest }
  | {
      readonly kind: 'manifest-eligible'
      readonly name: RepositoryName
      readonly digest: Digest
      /** All of the repository. */
      readonly tags: readonly string[]
    }
  | { readonly kind: 'blob-eligible'; readonly digest: Digest }
  | { readonly kind: 'link-eligible'; readonly name: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'planned'; readonly marked: number; readonly blobs: number; readonly manifests: number }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'done'; readonly report: CollectReport }

export interface CollectReport {
  readonly dryRun: boolean
  readonly repositories: number
  /** Blobs, manifests among them, that something needs. */
  readonly marked: number
  readonly eligible: { readonly blobs: number; readonly manifests: number; readonly layerLinks: number }
  /** Nothing in a dry run. */
  readonly removed: {
    readonly blobs: number
    readonly bytes: number
    readonly manifests: number
    readonly layerLinks: number
  }
  /** Links and blobs that were eligible, and were needed again before they could be removed. */
  readonly retained: number
  readonly warnings: number
}

/** A link that nothing needs. */
export interface UnneededLink {
  readonly name: RepositoryName
  readonly digest: Digest
  /** What it points to. */
  readonly target: Digest
}
