// A writer over one file, in place. write() is one system call, so that what it has settled for can be read back from
// the same descriptor.
//
// The descriptor's life: open() opens it, release() closes it, and nothing else does. commit(), close() and cancel()
// end the writing only, so that readers of an unfinished file can go on, wherever the file has been moved to. Who
// opens a writer calls release() in a finally, whether or not anybody reads.
import { constants, fstatSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { CallOptions } from '../../../oci/descriptor.ts'
import { StorageError, type FileWriter, type StoragePath } from '../driver.ts'
import { makingDirectory, syncDirectories } from './directories.ts'
import {
  closeFile,
  errorCode,
  openFile,
  readSome,
  storageFailure,
  syncContent,
  syncFile,
  writeSome,
} from './system-calls.ts'

interface Opened {
  readonly fd: number
  readonly file: string
  readonly path: StoragePath
  /** Where the file begins to grow. */
  readonly size: number
  /** The directories whose entries commit() has to make durable. */
  readonly changed: readonly string[]
}

const flushEveryBytes = 16 * 1024 * 1024

/** The writer of an open file; open() makes one. */
export class FilesystemWriter implements FileWriter {
  readonly #opened: Opened
  #bytesWritten: number
  #state: 'writing' | 'committed' | 'closed' | 'cancelled' = 'writing'
  #calls = 0
  #whenIdle: (() => void) | undefined
  #released: Promise<void> | undefined
  #flushing: Promise<void> | undefined
  #flushedTo: number
  #flushFailure: Error | undefined

  private constructor(opened: Opened) {
    this.#opened = opened
    this.#bytesWritten = opened.size
    this.#flushedTo = opened.size
  }

  /** Makes `file` anew, or goes on with it if `append`. Errors speak of `path`. */
  static async open(
    file: string,
    path: StoragePath,
    options: CallOptions & { readonly append?: boolean },
  ): Promise<FilesystemWriter> {
    options.signal?.throwIfAborted()
    if (options.append) {
      const fd = await openFile(file, constants.O_RDWR)
      return new FilesystemWriter({ fd, file, path, size: fstatSync(fd).size, changed: [dirname(file)] })
    }
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC
    const { result: fd, changed } = await makingDirectory(file, () => openFile(file, flags))
    return new FilesystemWriter({ fd, file, path, size: 0, changed: [dirname(file), ...changed] })
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  async write(content: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    await this.#call('write', async fd => {
      this.#mustBeWriting('write')
      let left = content instanceof Uint8Array ? [content] : content
      while (left.length > 0) {
        const count = await writeSome(fd, left, this.#bytesWritten)
        this.#bytesWritten += count
        left = after(left, count)
      }
    })
    this.#flushAsYouGo()
  }

  async readWritten(
    position: number,
    maxBytes: number,
    options: CallOptions & { readonly into?: Buffer | undefined } = {},
  ): Promise<Buffer> {
    options.signal?.throwIfAborted()
    return await this.#call('read', async fd => {
      const length = Math.max(0, Math.min(maxBytes, this.#bytesWritten - position))
      const content = options.into ?? Buffer.allocUnsafeSlow(length)
      const count = length === 0 ? 0 : await readSome(fd, content, 0, length, position)
      return content.subarray(0, count)
    })
  }

  async commit(): Promise<void> {
    if (this.#state === 'committed') return
    await this.#flushing
    await this.#call('commit', async fd => {
      this.#mustBeWriting('commit')
      // The system tells of a failed flush only once: it may have been told to the one in the background.
      if (this.#flushFailure !== undefined) throw this.#flushFailure
      await syncFile(fd)
      await syncDirectories(this.#opened.changed)
      this.#state = 'committed'
    })
  }

  async close(): Promise<void> {
    if (this.#state !== 'writing') return
    await this.#flushing
    if (this.#flushFailure !== undefined) {
      // A later writer's flush would succeed, the failure having been told: nothing may build on these bytes.
      await this.cancel()
      throw this.#flushFailure
    }
    this.#state = 'closed'
  }

  async cancel(): Promise<void> {
    if (this.#state !== 'writing') return
    const { file, path } = this.#opened
    this.#state = 'cancelled'
    await unlink(file).catch((err: unknown) => {
      if (errorCode(err) !== 'ENOENT') throw storageFailure('remove', path, err)
    })
  }

  release(): Promise<void> {
    this.#released ??= this.#closeFile()
    return this.#released
  }

  async #closeFile(): Promise<void> {
    if (this.#calls > 0) await new Promise<void>(resolve => (this.#whenIdle = resolve))
    await closeFile(this.#opened.fd)
  }

  /** Starts flushing what has gathered, beside the writing: commit() then finds little left to wait for. */
  #flushAsYouGo(): void {
    if (this.#flushing !== undefined || this.#bytesWritten - this.#flushedTo < flushEveryBytes) return
    this.#flushedTo = this.#bytesWritten
    this.#flushing = this.#call('flush', syncContent)
      .catch((err: unknown) => {
        this.#flushFailure ??= err instanceof Error ? err : new Error('Cannot flush', { cause: err })
      })
      .finally(() => (this.#flushing = undefined))
  }

  // Counts the calls on the descriptor: release() waits for them.
  async #call<T>(action: string, call: (fd: number) => Promise<T>): Promise<T> {
    const { fd, path } = this.#opened
    if (this.#released) throw new StorageError(`Cannot ${action} "${path}": writer is released`, path)
    this.#calls++
    try {
      return await call(fd)
    } catch (err) {
      throw storageFailure(action, path, err)
    } finally {
      if (--this.#calls === 0) this.#whenIdle?.()
    }
  }

  #mustBeWriting(action: string): void {
    if (this.#state === 'writing') return
    const { path } = this.#opened
    throw new StorageError(`Cannot ${action} "${path}": writer is ${this.#state}`, path)
  }
}

/** The chunks without the `count` bytes that went. */
function after(chunks: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skip = count
  for (const [index, chunk] of chunks.entries()) {
    if (skip < chunk.length) return [chunk.subarray(skip), ...chunks.slice(index + 1)]
    skip -= chunk.length
  }
  return []
}
