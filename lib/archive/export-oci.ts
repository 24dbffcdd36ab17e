// Writes an image as an OCI image layout in a tar. Source: image-spec image-layout.md.
import type { CallOptions } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Tag } from '../oci/reference.ts'
import type { Repository } from '../registry/registry.ts'
import type { Gathered } from './gather.ts'
import { blobName, refNameAnnotation } from './oci-layout.ts'
import type { TarWriter } from './tar-writer.ts'
import { contentOf } from './verified.ts'

export async function exportOci(
  tar: TarWriter,
  repository: Repository,
  { root, referrers, parts }: Gathered,
  { tag, ...options }: CallOptions & { readonly tag?: Tag | undefined } = {},
): Promise<void> {
  const { mediaType, digest, size } = root
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { mediaType, digest, size, ...(tag !== undefined && { annotations: { [refNameAnnotation]: tag } }) },
      ...referrers,
    ],
  }
  await addText(tar, 'oci-layout', '{"imageLayoutVersion":"1.0.0"}')
  await addText(tar, 'index.json', JSON.stringify(index))
  for (const [digest, part] of [...parts].sort(([a], [b]) => (a < b ? -1 : 1)))
    await tar.add(blobName(digest), part.size, contentOf(repository, digest, part, options))
}

export async function addText(tar: TarWriter, name: string, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  await tar.add(name, bytes.length, oneChunk(bytes))
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes)
}
