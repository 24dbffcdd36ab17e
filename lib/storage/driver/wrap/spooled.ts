// Gives a driver's writers readWritten(): what is written goes to a temporary file as well, to be read back from there
// until the writer is released, whatever becomes of it in the store. The file has no name, so that nothing is left of it
// when the process dies. What earlier writers have written is fetched from the store, beside the writing.
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, unlink, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { CallOptions } from '../../../oci/descriptor.ts'
import { StorageError, type FileWriter, type StorageDriver, type StoragePath } from '../driver.ts'

/** `inner`, whose writers have no readWritten(). Opened with `readBack: false` they do not get one. */
export function spooled(inner: StorageDriver, directory = tmpdir()): StorageDriver {
  const openReader = inner.openReader?.bind(inner)
  const redirectUrl = inner.redirectUrl?.bind(inner)
  return {
    name: inner.name,
    stat: (path, options) => inner.stat(path, options),
    read: (path, options) => inner.read(path, options),
    readAll: (path, options) => inner.readAll(path, options),
    writeAll: (path, content, options) => inner.writeAll(path, content, options),
    async openWriter(path, options = {}) {
      const { readBack = true, ...rest } = options
      const writer = await inner.openWriter(path, rest)
      if (!readBack) return writer
      try {
        return new SpooledWriter(inner, writer, path, await openNameless(directory))
      } catch (err) {
        await writer.release()
        throw new StorageError(`Cannot write "${path}": no temporary file in ${directory}`, path, {
          cause: err,
        })
      }
    },
    list: (path, options) => inner.list(path, options),
    walk: (prefix, options) => inner.walk(prefix, options),
    move: (from, to, options) => inner.move(from, to, options),
    remove: (path, options) => inner.remove(path, options),
    close: () => inner.close(),
    ...(openReader && { openReader }),
    ...(redirectUrl && { redirectUrl }),
  }
}

async function openNameless(directory: string): Promise<FileHandle> {
  const name = path.join(directory, `entrepot-${randomUUID()}`)
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
  const file = await open(name, flags, 0o600)
  try {
    await unlink(name)
    return file
  } catch (err) {
    await file.close()
    throw err
  }
}

class SpooledWriter implements FileWriter {
  readonly #inner: FileWriter
  readonly #path: StoragePath
  readonly #file: FileHandle
  /** How much earlier writers have written, and how much of that has been fetched. */
  readonly #earlier: number
  #fetched = 0
  #fetching: Promise<void> | undefined
  #fetchFailure: unknown
  #onFetched: (() => void)[] = []
  readonly #abandoned = new AbortController()
  #calls = 0
  #whenIdle: (() => void) | undefined
  #released: Promise<void> | undefined

  constructor(driver: StorageDriver, inner: FileWriter, path: StoragePath, file: FileHandle) {
    this.#inner = inner
    this.#path = path
    this.#file = file
    this.#earlier = inner.bytesWritten
    if (this.#earlier > 0) this.#fetching = this.#call('read', () => this.#fetch(driver)).catch(() => {})
  }

  get bytesWritten(): number {
    return this.#inner.bytesWritten
  }

  async write(content: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    // A writer that refuses has not grown: what lies behind its end is written over.
    let position = this.#inner.bytesWritten
    await this.#call('write', async () => {
      for (const chunk of content instanceof Uint8Array ? [content] : content) {
        await writeWhole(this.#file, chunk, position)
        position += chunk.length
      }
      await this.#inner.write(content, options)
    })
  }

  async readWritten(
    position: number,
    maxBytes: number,
    options: CallOptions & { readonly into?: Buffer | undefined } = {},
  ): Promise<Buffer> {
    options.signal?.throwIfAborted()
    return await this.#call('read', async () => {
      if (position < this.#earlier) await this.#fetchedBeyond(position, options.signal)
      const end = position < this.#earlier ? this.#fetched : this.bytesWritten
      const length = Math.max(0, Math.min(maxBytes, end - position))
      const into = options.into ?? Buffer.allocUnsafeSlow(length)
      if (length === 0) return into.subarray(0, 0)
      const { bytesRead } = await this.#file.read(into, 0, length, position)
      return into.subarray(0, bytesRead)
    })
  }

  async commit(): Promise<void> {
    // Whoever commits may move the file, and then there is nothing to fetch.
    await this.#fetching
    await this.#inner.commit()
  }

  async close(): Promise<void> {
    this.#abandoned.abort()
    await this.#inner.close()
  }

  async cancel(): Promise<void> {
    this.#abandoned.abort()
    await this.#inner.cancel()
  }

  release(): Promise<void> {
    this.#abandoned.abort()
    this.#released ??= this.#close()
    return this.#released
  }

  async #close(): Promise<void> {
    try {
      if (this.#calls > 0) await new Promise<void>(resolve => (this.#whenIdle = resolve))
      await this.#file.close()
    } finally {
      await this.#inner.release()
    }
  }

  async #fetch(driver: StorageDriver): Promise<void> {
    try {
      const { signal } = this.#abandoned
      for await (const chunk of await driver.read(this.#path, { end: this.#earlier, signal })) {
        await writeWhole(this.#file, chunk as Buffer, this.#fetched)
        this.#fetched += (chunk as Buffer).length
        this.#wake()
      }
      if (this.#fetched < this.#earlier)
        throw new Error(`only ${this.#fetched} of ${this.#earlier} bytes came`)
    } catch (err) {
      this.#fetchFailure = err
    } finally {
      this.#wake()
    }
  }

  async #fetchedBeyond(position: number, signal: AbortSignal | undefined): Promise<void> {
    while (this.#fetched <= position) {
      signal?.throwIfAborted()
      if (this.#fetchFailure !== undefined)
        throw new StorageError(`Cannot read "${this.#path}" back`, this.#path, { cause: this.#fetchFailure })
      await new Promise<void>(resolve => this.#onFetched.push(resolve))
    }
  }

  #wake(): void {
    const waiting = this.#onFetched
    this.#onFetched = []
    for (const wake of waiting) wake()
  }

  // Counts the calls on the file: release() waits for them.
  async #call<T>(action: string, call: () => Promise<T>): Promise<T> {
    if (this.#released)
      throw new StorageError(`Cannot ${action} "${this.#path}": writer is released`, this.#path)
    this.#calls++
    try {
      return await call()
    } finally {
      if (--this.#calls === 0) this.#whenIdle?.()
    }
  }
}

async function writeWhole(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.length - offset, position + offset)
    offset += bytesWritten
  }
}
