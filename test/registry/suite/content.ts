// Content to push, and the few steps that most of the suite's tests begin with.
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { Descriptor } from '../../../lib/oci/descriptor.ts'
import { digestOf, type Digest } from '../../../lib/oci/digest.ts'
import { mediaTypes } from '../../../lib/oci/media-types.ts'
import { parseTag, tagReference, type Reference } from '../../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import type { BlobBody, Registry, Repository, UploadService } from '../../../lib/registry/registry.ts'
import { bodyOf } from '../../support/stores.ts'

export type Open = (t: Test) => Promise<Registry>

export const app = parseRepositoryName('suite/app')
export const other = parseRepositoryName('suite/other')
export const tagged = (tag: string): Reference => tagReference(parseTag(tag))

export function uploadsOf(repository: Repository): UploadService {
  if (repository.uploads === undefined) throw new TypeError('Cannot run the suite: registry takes no uploads')
  return repository.uploads
}

export async function pushBlob(repository: Repository, content: string | Buffer): Promise<Descriptor> {
  const bytes = Buffer.from(content)
  const session = await uploadsOf(repository).start()
  await session.append(bodyOf(bytes), 0)
  return session.complete(digestOf(bytes))
}

export async function readBlob(repository: Repository, digest: Digest): Promise<Buffer> {
  return buffer(await bytesOf(await repository.blobs.open(digest)).read())
}

export function bytesOf(body: BlobBody): Extract<BlobBody, { kind: 'bytes' }> {
  if (body.kind !== 'bytes') throw new TypeError('Cannot read body: it is a redirect')
  return body
}

/** What is missing where nothing may be deleted; the suite wants a registry that allows it. */
export async function removeBlob({ blobs }: Repository, digest: Digest): Promise<void> {
  if (blobs.remove === undefined) throw new TypeError('Cannot run the suite: registry deletes nothing')
  await blobs.remove(digest)
}

export async function removeManifest({ manifests }: Repository, digest: Digest): Promise<void> {
  if (manifests.remove === undefined) throw new TypeError('Cannot run the suite: registry deletes nothing')
  await manifests.remove(digest)
}

export async function removeTag({ tags }: Repository, tag: string): Promise<void> {
  if (tags.remove === undefined) throw new TypeError('Cannot run the suite: registry deletes nothing')
  await tags.remove(parseTag(tag))
}

export function json(content: object): Buffer {
  return Buffer.from(JSON.stringify(content))
}

/** An OCI manifest over these blobs; `seed` makes it another one. */
export function manifestOver(blobs: readonly Descriptor[], seed = '', more: object = {}): Buffer {
  const [config, ...layers] = blobs
  return json({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers,
    annotations: { seed },
    ...more,
  })
}

export function indexOver(manifests: readonly Buffer[]): Buffer {
  return json({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: manifests.map(bytes => ({
      mediaType: mediaTypes.ociManifest,
      digest: digestOf(bytes),
      size: bytes.length,
    })),
  })
}

/** Pushes a config, a layer and a manifest over them. */
export async function pushManifest(repository: Repository, tag: string, seed = tag): Promise<Descriptor> {
  const blobs = [await pushBlob(repository, '{}'), await pushBlob(repository, `layer of ${seed}`)]
  return repository.manifests.put(manifestOver(blobs, seed), mediaTypes.ociManifest, tagged(tag))
}
