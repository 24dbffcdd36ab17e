// What the filesystem says of a file, in the words of the driver contract.
import type { Stats } from 'node:fs'
import type { FileInfo, StoragePath } from '../driver.ts'

/** The answer of stat(2) for `path`; anything but a directory counts as a file. */
export function fileInfo(path: StoragePath, stats: Stats): FileInfo {
  const kind = stats.isDirectory() ? 'directory' : 'file'
  return { path, kind, size: kind === 'file' ? stats.size : 0, modifiedAtMs: Math.floor(stats.mtimeMs) }
}
