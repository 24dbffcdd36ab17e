// The calls of node:fs that the hot paths use, as promises over plain descriptors: a FileHandle costs several times
// as much as the call that it wraps. Whoever opens a descriptor closes it, and not while a call on it is under way:
// the number may belong to another file by then.
import * as fs from 'node:fs'
import { PathNotFoundError, StorageError, type StoragePath } from '../driver.ts'

/** Opens a file; `flags` as for open(2), mode 0666 less the umask for a new one. */
export function openFile(file: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(file, flags, 0o666, (err, fd) => (err ? reject(err) : resolve(fd)))
  })
}

/** Never fails: what can fail is fsync, and who needs that calls it. */
export function closeFile(fd: number): Promise<void> {
  return new Promise(resolve => {
    fs.close(fd, () => resolve())
  })
}

/** Returns how many bytes came: 0 at the end, and fewer than asked for at any time. */
export function readSome(
  fd: number,
  into: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, offset, length, position, (err, count) => (err ? reject(err) : resolve(count)))
  })
}

/** Returns how many bytes went: fewer than given when a disk fills up. */
export function writeSome(fd: number, chunks: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.writev(fd, chunks, position, (err, count) => (err ? reject(err) : resolve(count)))
  })
}

/** Returns when the file's bytes and size are on the disk. */
export function syncFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fsync(fd, err => (err ? reject(err) : resolve()))
  })
}

/** The same for the bytes alone. */
export function syncContent(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(fd, err => (err ? reject(err) : resolve()))
  })
}

/** What lies at a path; links are followed. */
export function statFile(file: string): Promise<fs.Stats> {
  return new Promise((resolve, reject) => {
    fs.stat(file, (err, stats) => (err ? reject(err) : resolve(stats)))
  })
}

/** The code of a failed system call, such as `ENOENT`; undefined for any other error. */
export function errorCode(err: unknown): string | undefined {
  return err instanceof Error && 'syscall' in err && 'code' in err ? String(err.code) : undefined
}

/**
 * What a driver throws for `err`. A file where a directory should be means that the path does not exist. What is not
 * a failed system call stays what it is: the reason of a signal, or a bug.
 */
export function storageFailure(action: string, path: StoragePath, err: unknown): unknown {
  const code = errorCode(err)
  if (code === undefined || !(err instanceof Error)) return err
  if (code === 'ENOENT' || code === 'ENOTDIR') return new PathNotFoundError(path, { cause: err })
  return new StorageError(`Cannot ${action} "${path}": ${err.message}`, path, { cause: err })
}
