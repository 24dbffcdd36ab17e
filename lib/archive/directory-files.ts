// An archive that lies in a directory. Links are followed only within it.
import { constants } from 'node:fs'
import { open, realpath, type FileHandle } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { ArchiveError, tidyName, type ArchiveFiles } from './files.ts'

export async function openDirectory(path: string): Promise<ArchiveFiles> {
  const root = await realpath(path)

  /** Opens a plain file; whoever asks closes it. */
  async function find(name: string): Promise<{ handle: FileHandle; size: number } | undefined> {
    const tidy = tidyName(name)
    const file = tidy === undefined ? undefined : await realpath(join(root, tidy)).catch(unlessAbsent)
    if (file === undefined) return undefined
    if (!file.startsWith(root.endsWith(sep) ? root : root + sep))
      throw new ArchiveError(`Cannot read "${name}": it leads out of "${path}"`)
    // Not a link: it may have become one just now. Nor would a pipe be waited for.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const handle = await open(file, flags).catch(unlessAbsent)
    if (handle === undefined) return undefined
    const stat = await handle.stat()
    if (stat.isFile()) return { handle, size: stat.size }
    await handle.close()
    return undefined
  }

  return {
    async size(name) {
      const found = await find(name)
      await found?.handle.close()
      return found?.size
    },
    async open(name) {
      const found = await find(name)
      if (found === undefined) throw new ArchiveError(`Cannot read "${name}": not in "${path}"`)
      return found.handle.createReadStream({ highWaterMark: 256 * 1024 })
    },
    close: () => Promise.resolve(),
  }
}

function unlessAbsent(err: unknown): undefined {
  const { code } = err as NodeJS.ErrnoException
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw err
}
