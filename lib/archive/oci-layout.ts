// Reads an OCI image layout. Source: image-spec image-layout.md.
import * as z from 'zod'
import { parseManifestEntry, maxManifestBytes } from '../oci/manifest.ts'
import { algorithmOf, hexOf, type Digest } from '../oci/digest.ts'
import type { ArchiveContents, ArchiveImage } from './contents.ts'
import { ArchiveError, readJson, readSmall, type ArchiveFiles } from './files.ts'

export const refNameAnnotation = 'org.opencontainers.image.ref.name'
/** A name in full, which containerd and Docker write beside the tag. */
const fullNameAnnotation = 'io.containerd.image.name'
const markerName = 'oci-layout'
const maxIndexBytes = 16 * 1024 * 1024
const marker = z.object({ imageLayoutVersion: z.string().regex(/^1\./) })
const index = z.object({ schemaVersion: z.literal(2), manifests: z.array(z.unknown()).max(10_000).nullish() })

export function blobName(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`
}

export async function isOciLayout(files: ArchiveFiles): Promise<boolean> {
  return (await files.size(markerName)) !== undefined && (await files.size('index.json')) !== undefined
}

/** ArchiveError. */
export async function readOciLayout(files: ArchiveFiles): Promise<ArchiveContents> {
  if (!marker.safeParse(await readJson(files, markerName, 4096)).success)
    throw new ArchiveError('Cannot read OCI layout: its version is not 1')
  const parsed = index.safeParse(await readJson(files, 'index.json', maxIndexBytes))
  if (!parsed.success) throw new ArchiveError('Cannot read OCI layout: its index.json is no index')
  const images = (parsed.data.manifests ?? []).map((value): ArchiveImage => {
    const root = parseManifestEntry(value)
    if (root === undefined)
      throw new ArchiveError('Cannot read OCI layout: a descriptor in index.json is damaged')
    const { [fullNameAnnotation]: fullName, [refNameAnnotation]: refName } = root.annotations ?? {}
    const name = fullName ?? refName
    return { names: name === undefined || name === '' ? [] : [name], root }
  })
  return {
    format: 'oci-layout',
    images,
    manifest: digest => readSmall(files, blobName(digest), maxManifestBytes),
    blobSize: digest => files.size(blobName(digest)),
    openBlob: digest => files.open(blobName(digest)),
  }
}
