// Opens an archive, whatever it is: a directory, a tar, a compressed tar, or a stream of one.
import { stat } from 'node:fs/promises'
import { openDirectory } from './directory-files.ts'
import { ArchiveError, type ArchiveFiles } from './files.ts'
import { openTar, openTarStream, type SpoolOptions } from './tar-files.ts'

/** `source` is a path, or a stream. ArchiveError. */
export async function openArchive(
  source: string | AsyncIterable<Uint8Array>,
  options: SpoolOptions,
): Promise<ArchiveFiles> {
  if (typeof source !== 'string') return await openTarStream(source, options)
  const found = await stat(source).catch((cause: unknown) => {
    throw new ArchiveError(`Cannot read "${source}"`, { cause })
  })
  return found.isDirectory() ? await openDirectory(source) : await openTar(source, options)
}
