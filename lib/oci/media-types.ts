// The media types that the registry treats specially. Everything else is opaque.
// Sources: image-spec media-types.md; distribution "Image Manifest V 2, Schema 2".

export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerForeignLayer: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ociNonDistributablePrefix: 'application/vnd.oci.image.layer.nondistributable.',
  octetStream: 'application/octet-stream',
} as const

/** What a mirror asks an upstream for: every manifest form, so that it is never converted for us. */
export const manifestMediaTypes: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifestList,
  mediaTypes.dockerManifest,
]

/**
 * Whether content may be given out as a manifest of this type (lower case): any type of JSON that is meant for programs.
 * Of types that a browser acts upon none is accepted, since it is the pusher who chooses.
 */
export function isManifestType(mediaType: string): boolean {
  return applicationType.test(mediaType) && !browserType.test(mediaType)
}

/** RFC 6838, 4.2. */
const applicationType = /^application\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/
const browserType = /(?:xml|script|pdf|flash)$/

export function isIndexMediaType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerManifestList
}

/** Layers whose bytes may live elsewhere (their descriptor has `urls`), so that a push need not bring them. */
export function isNonDistributable(mediaType: string): boolean {
  return (
    mediaType === mediaTypes.dockerForeignLayer || mediaType.startsWith(mediaTypes.ociNonDistributablePrefix)
  )
}

/** The type of a Content-Type header without its parameters, lower-cased; empty if there is none. */
export function essence(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}
