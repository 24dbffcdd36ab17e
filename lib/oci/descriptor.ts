// Descriptors: media type, digest and size of content. Source: image-spec descriptor.md.
import type { Digest } from './digest.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

/** A descriptor as it stands inside a manifest, with the optional members that the registry reads. */
export interface ManifestEntry extends Descriptor {
  readonly urls?: readonly string[] | undefined
  readonly platform?: Platform | undefined
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

export interface Platform {
  readonly architecture: string
  readonly os: string
  readonly variant?: string | undefined
}

/** The last parameter of everything that touches disk or network; aborting rejects with `signal.reason`. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}
