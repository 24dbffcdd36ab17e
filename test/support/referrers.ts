// Manifests that refer to others, for tests of what lists them.
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'

/** An index with a subject: it needs no blobs. `more` is what else stands in it. */
export function referrerTo(subject: Digest, seed: string, more: object = {}): Buffer {
  const document = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    artifactType: 'application/vnd.example.signature',
    manifests: [],
    subject: { mediaType: mediaTypes.ociManifest, digest: subject, size: 7 },
    annotations: { seed },
    ...more,
  }
  return Buffer.from(JSON.stringify(document))
}

/** How a list of referrers shows one of those. */
export function entryOf(bytes: Buffer) {
  const { artifactType, annotations } = JSON.parse(bytes.toString()) as {
    readonly artifactType?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  return {
    mediaType: mediaTypes.ociIndex,
    digest: digestOf(bytes),
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  }
}

/** An index that lists them, as clients keep it under a tag at registries without the API. */
export function fallbackIndex(referrers: readonly Buffer[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: referrers.map(bytes => entryOf(bytes)),
    }),
  )
}
