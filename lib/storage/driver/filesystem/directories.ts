// Directories: made only when a file turns out to need one, and made durable with the file.
import { constants } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { closeFile, errorCode, openFile, syncFile } from './system-calls.ts'

// Somebody may remove an empty directory between the making of it and its use, but hardly again and again.
const attempts = 5

/** What came of an attempt, and the directories that got new subdirectories on the way. */
export interface Made<T> {
  readonly result: T
  readonly changed: readonly string[]
}

/**
 * Runs `attempt`, which makes `file`; when that fails with ENOENT, makes the directory of `file` and tries again.
 * In most cases the directory is there, and nothing else than the attempt costs anything.
 */
export async function makingDirectory<T>(file: string, attempt: () => Promise<T>): Promise<Made<T>> {
  const changed: string[] = []
  for (let made = 0; ; made++) {
    try {
      return { result: await attempt(), changed }
    } catch (err) {
      if (errorCode(err) !== 'ENOENT' || made === attempts) throw err
    }
    changed.push(...(await makeDirectory(dirname(file))))
  }
}

async function makeDirectory(directory: string): Promise<readonly string[]> {
  const first = await mkdir(directory, { recursive: true })
  if (first === undefined) return []
  const changed: string[] = []
  for (let made = directory; made.length >= first.length; made = dirname(made)) changed.push(dirname(made))
  return changed
}

/** Makes the entries of these directories durable. */
export async function syncDirectories(directories: readonly string[]): Promise<void> {
  await Promise.all(directories.map(syncDirectory))
}

async function syncDirectory(directory: string): Promise<void> {
  const fd = await openFile(directory, constants.O_RDONLY)
  try {
    await syncFile(fd)
  } catch (err) {
    // Some network filesystems have no fsync for directories, and make entries durable on their own.
    if (errorCode(err) !== 'EINVAL') throw err
  } finally {
    await closeFile(fd)
  }
}
