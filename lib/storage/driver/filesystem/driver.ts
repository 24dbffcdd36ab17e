// Files below a root directory, a storage path being the path from there. The same tree as distribution's, so that
// either can take over from the other.
//
// Durable means: the file is synced before it gets its name, and then the directory that holds the name, and the
// parents of directories that had to be made. A file that is only in memory when the power goes may lack its name
// afterwards, but a name never leads to half a file.
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { readdir, rename, rm, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { CallOptions } from '../../../oci/descriptor.ts'
import type { ContentReader } from '../../../streams/content-reader.ts'
import type { FileInfo, FileWriter, Slice, StorageDriver, StoragePath } from '../driver.ts'
import type { DriverFactory } from '../factory.ts'
import { childPath, isComponent } from '../path.ts'
import { filesystemSection, type FilesystemConfig } from './config.ts'
import { makingDirectory, syncDirectories } from './directories.ts'
import { fileInfo } from './file-info.ts'
import { openContentReader, openReader, readWhole } from './reader.ts'
import { RecentFiles } from './recent-files.ts'
import {
  closeFile,
  errorCode,
  openFile,
  statFile,
  storageFailure,
  syncFile,
  writeSome,
} from './system-calls.ts'
import { walkDirectory } from './walk.ts'
import { FilesystemWriter } from './writer.ts'

/** `storage.filesystem`. */
export const filesystemFactory: DriverFactory<FilesystemConfig> = {
  name: 'filesystem',
  section: filesystemSection,
  concurrency: config => config.maxthreads,
  open: async config => new FilesystemDriver(config.rootdirectory),
}

/** Holds nothing open but what its readers and writers do; the root directory need not exist. */
export class FilesystemDriver implements StorageDriver {
  readonly name = 'filesystem'
  readonly #root: string
  readonly #recent = new RecentFiles()

  constructor(rootDirectory: string) {
    this.#root = resolve(rootDirectory)
  }

  async stat(path: StoragePath, options: CallOptions = {}): Promise<FileInfo> {
    options.signal?.throwIfAborted()
    try {
      return fileInfo(path, await statFile(this.#file(path)))
    } catch (err) {
      if (path === '/' && errorCode(err) === 'ENOENT')
        return { path, kind: 'directory', size: 0, modifiedAtMs: 0 }
      throw storageFailure('stat', path, err)
    }
  }

  async read(path: StoragePath, options: CallOptions & Slice = {}): Promise<Readable> {
    try {
      return await openReader(this.#file(path), path, options)
    } catch (err) {
      throw storageFailure('read', path, err)
    }
  }

  async openReader(path: StoragePath, options: CallOptions = {}): Promise<ContentReader> {
    try {
      return await openContentReader(this.#file(path), path, options)
    } catch (err) {
      throw storageFailure('read', path, err)
    }
  }

  async readAll(path: StoragePath, options: CallOptions = {}): Promise<Buffer> {
    try {
      return await readWhole(this.#file(path), path, { ...options, recent: this.#recent })
    } catch (err) {
      throw storageFailure('read', path, err)
    }
  }

  async writeAll(
    path: StoragePath,
    content: Uint8Array,
    options: CallOptions & { readonly durable?: boolean } = {},
  ): Promise<void> {
    const { signal, durable = true } = options
    signal?.throwIfAborted()
    const file = this.#file(path)
    const temporary = `${file}.${randomUUID()}.tmp`
    try {
      const changed = await writeNew(temporary, content, durable)
      try {
        signal?.throwIfAborted()
        await rename(temporary, file)
      } catch (err) {
        await unlink(temporary).catch(() => {})
        throw err
      }
      if (durable) await syncDirectories([dirname(file), ...changed])
    } catch (err) {
      throw storageFailure('write', path, err)
    }
  }

  async openWriter(
    path: StoragePath,
    options: CallOptions & { readonly append?: boolean } = {},
  ): Promise<FileWriter> {
    try {
      return await FilesystemWriter.open(this.#file(path), path, options)
    } catch (err) {
      throw storageFailure('write', path, err)
    }
  }

  async list(path: StoragePath, options: CallOptions = {}): Promise<readonly StoragePath[]> {
    options.signal?.throwIfAborted()
    try {
      const names = await readdir(this.#file(path))
      return names
        .filter(isComponent)
        .sort()
        .map(name => childPath(path, name))
    } catch (err) {
      if (path === '/' && errorCode(err) === 'ENOENT') return []
      throw storageFailure('list', path, err)
    }
  }

  walk(
    prefix: StoragePath,
    options: CallOptions & { readonly after?: StoragePath } = {},
  ): AsyncIterable<FileInfo> {
    return walkDirectory(path => this.#file(path), prefix, options)
  }

  async move(from: StoragePath, to: StoragePath, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    const source = this.#file(from)
    const target = this.#file(to)
    try {
      const { changed } = await makingDirectory(target, async () => {
        try {
          await rename(source, target)
        } catch (err) {
          // ENOENT speaks of either path; a directory is made only for a file that is there.
          if (errorCode(err) === 'ENOENT') await this.stat(from)
          throw err
        }
      })
      await syncDirectories([dirname(target), ...changed])
    } catch (err) {
      throw storageFailure('move', from, err)
    }
  }

  async remove(path: StoragePath, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    try {
      await rm(this.#file(path), { recursive: true, force: true })
    } catch (err) {
      if (errorCode(err) !== 'ENOTDIR') throw storageFailure('remove', path, err)
    }
  }

  async close(): Promise<void> {}

  #file(path: StoragePath): string {
    return path === '/' ? this.#root : this.#root + path
  }
}

async function writeNew(file: string, content: Uint8Array, durable: boolean): Promise<readonly string[]> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  const { result: fd, changed } = await makingDirectory(file, () => openFile(file, flags))
  try {
    for (let offset = 0; offset < content.length;)
      offset += await writeSome(fd, [content.subarray(offset)], offset)
    if (durable) await syncFile(fd)
  } catch (err) {
    await unlink(file).catch(() => {})
    throw err
  } finally {
    await closeFile(fd)
  }
  return changed
}
