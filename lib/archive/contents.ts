// What an archive of images holds, whichever form it has: images with their names, and content by digest.
import type { Readable } from 'node:stream'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { readDockerArchive } from './docker-archive.ts'
import { ArchiveError, type ArchiveFiles } from './files.ts'
import { isOciLayout, readOciLayout } from './oci-layout.ts'

export interface ArchiveImage {
  /** As the archive has them: `1.27`, `team/app:1.27` or `docker.io/team/app:1.27`; none for one without a name. */
  readonly names: readonly string[]
  readonly root: Descriptor
}

export interface ArchiveContents {
  readonly format: 'oci-layout' | 'docker-archive'
  readonly images: readonly ArchiveImage[]
  /** The bytes of a manifest, not verified; undefined where the archive has none of this digest. */
  manifest(digest: Digest): Promise<Buffer | undefined>
  /** Of a blob; undefined where the archive has none. */
  blobSize(digest: Digest): Promise<number | undefined>
  /** Not verified. The caller ends or destroys it. */
  openBlob(digest: Digest): Promise<Readable>
}

/** Tars that `docker save` writes nowadays have both forms: the layout is the one that keeps digests. ArchiveError. */
export async function readContents(files: ArchiveFiles, signal?: AbortSignal): Promise<ArchiveContents> {
  if (await isOciLayout(files)) return await readOciLayout(files)
  const docker = await readDockerArchive(files, signal)
  if (docker !== undefined) return docker
  throw new ArchiveError(
    'Cannot read archive: it has neither an OCI layout nor a manifest.json of docker save',
  )
}
