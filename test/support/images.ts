// Images at the fake upstream, for tests of whoever follows them from their index down to their layers.
import { randomBytes } from 'node:crypto'
import type { Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parsePlatform } from '../../lib/oci/platform.ts'
import type { FakeUpstream } from './fake-upstream.ts'

export interface AddedImage {
  readonly digest: Digest
  /** Config first, then layers. */
  readonly blobs: readonly Digest[]
}

/** Adds an image with a config and layers of these sizes. `more` is what else stands in its manifest. */
export function addImage(
  upstream: FakeUpstream,
  name: string,
  tag: string | undefined,
  layerBytes: readonly number[] = [1000, 2000],
  more: object = {},
): AddedImage {
  const blobs = [100, ...layerBytes].map(size => {
    const bytes = randomBytes(size)
    return { mediaType: mediaTypes.octetStream, digest: upstream.addBlob(name, bytes), size }
  })
  const [config, ...layers] = blobs
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers, ...more }
  const digest = upstream.addManifest(name, tag, manifest)
  return { digest, blobs: blobs.map(blob => blob.digest) }
}

/** Adds an index with one image for each of the platforms; returns the images by platform. */
export function addIndex(
  upstream: FakeUpstream,
  name: string,
  tag: string,
  platforms: readonly string[],
): { readonly digest: Digest; readonly images: Readonly<Record<string, AddedImage>> } {
  const images = Object.fromEntries(platforms.map(text => [text, addImage(upstream, name, undefined)]))
  const manifests = Object.entries(images).map(([text, { digest }]) => ({
    mediaType: mediaTypes.ociManifest,
    digest,
    size: 500,
    platform: parsePlatform(text),
  }))
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
  return { digest: upstream.addManifest(name, tag, index, mediaTypes.ociIndex), images }
}
