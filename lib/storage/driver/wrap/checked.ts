// Refuses what is no storage path, and puts the driver's name on its errors, so that no driver does either.
import type { CallOptions } from '../../../oci/descriptor.ts'
import {
  InvalidPathError,
  StorageError,
  type FileWriter,
  type StorageDriver,
  type StoragePath,
} from '../driver.ts'
import { isDirectoryPath, isFilePath } from '../path.ts'

/** `inner`, given nothing but valid paths; `/` only where a directory is meant, and never to remove(). */
export function checked(inner: StorageDriver): StorageDriver {
  const { name } = inner
  const redirectUrl = inner.redirectUrl?.bind(inner)
  const openReader = inner.openReader?.bind(inner)

  async function onFile<T>(path: StoragePath, call: () => Promise<T>): Promise<T> {
    return await named(name, () => {
      if (!isFilePath(path)) throw new InvalidPathError(path)
      return call()
    })
  }

  async function onDirectory<T>(path: StoragePath, call: () => Promise<T>): Promise<T> {
    return await named(name, () => {
      if (!isDirectoryPath(path)) throw new InvalidPathError(path)
      return call()
    })
  }

  return {
    name,
    stat: (path, options) => onDirectory(path, () => inner.stat(path, options)),
    read: (path, options) => onFile(path, () => inner.read(path, options)),
    readAll: (path, options) => onFile(path, () => inner.readAll(path, options)),
    writeAll: (path, content, options) => onFile(path, () => inner.writeAll(path, content, options)),
    openWriter: (path, options) =>
      onFile(path, async () => namedWriter(name, await inner.openWriter(path, options))),
    list: (path, options) => onDirectory(path, () => inner.list(path, options)),
    async *walk(prefix, options) {
      try {
        for (const path of [prefix, options?.after ?? prefix]) {
          if (!isDirectoryPath(path)) throw new InvalidPathError(path)
        }
        yield* inner.walk(prefix, options)
      } catch (err) {
        throw withName(name, err)
      }
    },
    move: (from, to, options) => onFile(from, () => onFile(to, () => inner.move(from, to, options))),
    remove: (path, options) => onFile(path, () => inner.remove(path, options)),
    close: () => named(name, () => inner.close()),
    ...(openReader && {
      openReader: (path: StoragePath, options?: CallOptions) => onFile(path, () => openReader(path, options)),
    }),
    ...(redirectUrl && {
      redirectUrl: (path: StoragePath, expiresMs: number) => onFile(path, () => redirectUrl(path, expiresMs)),
    }),
  }
}

function namedWriter(name: string, inner: FileWriter): FileWriter {
  const readWritten = inner.readWritten?.bind(inner)
  return {
    get bytesWritten() {
      return inner.bytesWritten
    },
    write: (chunk, options) => named(name, () => inner.write(chunk, options)),
    commit: () => named(name, () => inner.commit()),
    close: () => named(name, () => inner.close()),
    cancel: () => named(name, () => inner.cancel()),
    release: () => named(name, () => inner.release()),
    ...(readWritten && {
      readWritten: (...args: Parameters<typeof readWritten>) => named(name, () => readWritten(...args)),
    }),
  }
}

async function named<T>(name: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (err) {
    throw withName(name, err)
  }
}

function withName(name: string, err: unknown): unknown {
  if (err instanceof StorageError && err.driver === '') err.driver = name
  return err
}
