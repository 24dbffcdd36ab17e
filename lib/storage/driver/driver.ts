// The storage driver contract: paths and bytes, no digest and no repository. Every driver and every wrapper in wrap/
// passes the suite in test/storage/driver/suite.ts. Modelled on the calls that distribution's drivers offer, so that
// one tree or bucket serves both.
import type { Readable } from 'node:stream'
import type { CallOptions } from '../../oci/descriptor.ts'
import type { ContentReader } from '../../streams/content-reader.ts'

declare const brand: unique symbol

/** An absolute path such as `/docker/registry/v2/blobs`: components of `[A-Za-z0-9._-]`, none of them `.` or `..`. */
export type StoragePath = string & { readonly [brand]: 'StoragePath' }

export interface FileInfo {
  readonly path: StoragePath
  readonly kind: 'file' | 'directory'
  /** Bytes; 0 for a directory. */
  readonly size: number
  readonly modifiedAtMs: number
}

/** Bytes `start` (default 0) up to but not including `end` (default: the end of the file). */
export interface Slice {
  readonly start?: number | undefined
  readonly end?: number | undefined
}

export interface StorageDriver {
  readonly name: string
  /** PathNotFoundError. `/` always exists. */
  stat(path: StoragePath, options?: CallOptions): Promise<FileInfo>
  /**
   * A stream over a file's bytes, opened before the promise settles, so that PathNotFoundError comes from here.
   * A slice that starts beyond the end is an InvalidOffsetError; one that ends there is cut. The caller ends or
   * destroys the stream.
   */
  read(path: StoragePath, options?: CallOptions & Slice): Promise<Readable>
  /** Capability: opens a file to be read by position. PathNotFoundError. */
  openReader?(path: StoragePath, options?: CallOptions): Promise<ContentReader>
  /** The whole of a small file (links, manifests); at most `maxReadAllBytes`. PathNotFoundError. */
  readAll(path: StoragePath, options?: CallOptions): Promise<Buffer>
  /** Replaces the file atomically; it is durable when the promise resolves, unless `durable` is false. */
  writeAll(
    path: StoragePath,
    content: Uint8Array,
    options?: CallOptions & { readonly durable?: boolean },
  ): Promise<void>
  /**
   * A writer for a large file. Its path is private to the writer: content may be seen there before commit() (the
   * layout that we share with distribution has it so), so that callers write to a staging path and then move().
   * `append` goes on after the bytes of an earlier writer that was closed, and is PathNotFoundError without one.
   * `readBack: false` says that nobody will call readWritten(): no copy has to be kept for it.
   */
  openWriter(
    path: StoragePath,
    options?: CallOptions & { readonly append?: boolean; readonly readBack?: boolean },
  ): Promise<FileWriter>
  /** Direct children as full paths in lexical order of the names. PathNotFoundError (object stores: empty instead). */
  list(path: StoragePath, options?: CallOptions): Promise<readonly StoragePath[]>
  /** Every file below `prefix` (a directory) in lexical order of the paths' components; absent: nothing. */
  walk(prefix: StoragePath, options?: CallOptions & { readonly after?: StoragePath }): AsyncIterable<FileInfo>
  /** Moves a file, replacing what is at `to`; durable when the promise resolves. PathNotFoundError. */
  move(from: StoragePath, to: StoragePath, options?: CallOptions): Promise<void>
  /** Removes a file or a directory with all below it; absent is fine. */
  remove(path: StoragePath, options?: CallOptions): Promise<void>
  /** Capability: a URL under which a client may fetch the file itself. `client` is its address, where it is known. */
  redirectUrl?(path: StoragePath, expiresMs: number, client?: string): Promise<URL>
  close(): Promise<void>
}

/** One open file. Calls are made one after the other, except readWritten(). */
export interface FileWriter {
  /** Bytes in the file so far, those of earlier writers included; all of them can be read with readWritten(). */
  readonly bytesWritten: number
  /**
   * Writes one chunk, or several in their order. Settles when the store has taken them: that is the backpressure. The
   * caller must not change them before.
   */
  write(content: Uint8Array | readonly Uint8Array[], options?: CallOptions): Promise<void>
  /**
   * Capability: up to `maxBytes` of what was written, from `position`; at least one byte if `position` is below
   * bytesWritten. The bytes lie at the beginning of `into`, if it is given, which holds that many. Goes on working after commit() or move() until release().
   */
  readWritten?(
    position: number,
    maxBytes: number,
    options?: CallOptions & { readonly into?: Buffer | undefined },
  ): Promise<Buffer>
  /** Makes the content durable and complete; no write may follow. */
  commit(): Promise<void>
  /** Keeps what is there for a later append; rejects, and keeps nothing, if the store has lost some of it. */
  close(): Promise<void>
  /** Removes what was written. Idempotent, and nothing after commit() or close(): safe in a finally. */
  cancel(): Promise<void>
  /** Ends reading by readWritten() and frees what it holds. Idempotent; commit(), close() and cancel() do not imply it. */
  release(): Promise<void>
}

export const maxReadAllBytes = 16 * 1024 * 1024

/** A failure of a driver; `driver` is its name, filled in by wrap/checked.ts. */
export class StorageError extends Error {
  override readonly name: string = 'StorageError'
  readonly path: string
  driver = ''

  constructor(message: string, path: string, options: { readonly cause?: unknown } = {}) {
    super(message, options)
    this.path = path
  }
}

export class PathNotFoundError extends StorageError {
  override readonly name = 'PathNotFoundError'

  constructor(path: string, options: { readonly cause?: unknown } = {}) {
    super(`Cannot find path "${path}"`, path, options)
  }
}

export class InvalidPathError extends StorageError {
  override readonly name = 'InvalidPathError'

  constructor(path: string) {
    super(`Cannot use path "${path.slice(0, 300)}": not a storage path`, path)
  }
}

export class InvalidOffsetError extends StorageError {
  override readonly name = 'InvalidOffsetError'
  readonly offset: number

  constructor(path: string, offset: number) {
    super(`Cannot read "${path}" from offset ${offset}: beyond its end`, path)
    this.offset = offset
  }
}
