// The files of an archive, wherever it lies: in a directory, or in a tar. Names are relative, parted by slashes.
import type { Readable } from 'node:stream'

export interface ArchiveFiles {
  /** The size of a file in bytes; undefined where there is none of that name. */
  size(name: string): Promise<number | undefined>
  /** Its content, which the caller ends or destroys. ArchiveError where there is none. */
  open(name: string): Promise<Readable>
  close(): Promise<void>
}

/** An archive that is not what it should be, or holds what it must not. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError'
}

/** The content of a small file; undefined where there is none. ArchiveError where it is longer than `maxBytes`. */
export async function readSmall(
  files: ArchiveFiles,
  name: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const size = await files.size(name)
  if (size === undefined) return undefined
  if (size > maxBytes) throw new ArchiveError(`Cannot read "${name}": ${size} bytes, more than ${maxBytes}`)
  const chunks: Buffer[] = []
  for await (const chunk of await files.open(name)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** JSON in a small file; undefined where there is none. */
export async function readJson(files: ArchiveFiles, name: string, maxBytes: number): Promise<unknown> {
  const bytes = await readSmall(files, name, maxBytes)
  if (bytes === undefined) return undefined
  try {
    return JSON.parse(bytes.toString()) as unknown
  } catch (err) {
    throw new ArchiveError(`Cannot read "${name}": not JSON`, { cause: err })
  }
}

/** A name without `.` and doubled slashes; undefined where it leads out of the archive. */
export function tidyName(name: string): string | undefined {
  if (name.startsWith('/') || name.includes('\0') || name.includes('\\')) return undefined
  const parts: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) return undefined
  }
  return parts.join('/')
}
