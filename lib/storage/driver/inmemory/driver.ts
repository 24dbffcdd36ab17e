// The reference driver: the contract, and nothing else. For tests and trials; what it holds goes with the process.
import { Readable } from 'node:stream'
import type { Clock } from '../../../clock.ts'
import { section } from '../../../config/schema.ts'
import type { CallOptions } from '../../../oci/descriptor.ts'
import {
  maxReadAllBytes,
  PathNotFoundError,
  StorageError,
  type FileInfo,
  type FileWriter,
  type Slice,
  type StorageDriver,
  type StoragePath,
} from '../driver.ts'
import type { DriverFactory } from '../factory.ts'
import { childPath, isBefore } from '../path.ts'
import { cutSlice } from '../slice.ts'
import { File, nodeInfo, Tree } from './tree.ts'
import { InMemoryWriter } from './writer.ts'

/** No parameters. */
export type InMemoryConfig = Readonly<Record<never, never>>

/** `storage.inmemory`, which has no parameters. */
export const inMemoryFactory: DriverFactory<InMemoryConfig> = {
  name: 'inmemory',
  section: { schema: section({}) },
  concurrency: () => undefined,
  open: async (_config, { clock }) => new InMemoryDriver(clock),
}

const chunkBytes = 256 * 1024

/** A tree of its own in each; the clock tells when files were modified. */
export class InMemoryDriver implements StorageDriver {
  readonly name = 'inmemory'
  readonly #clock: Clock
  readonly #tree = new Tree()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async stat(path: StoragePath, options: CallOptions = {}): Promise<FileInfo> {
    options.signal?.throwIfAborted()
    return nodeInfo(path, this.#tree.node(path))
  }

  async read(path: StoragePath, options: CallOptions & Slice = {}): Promise<Readable> {
    const { signal } = options
    signal?.throwIfAborted()
    const file = this.#tree.file(path)
    const { start, end } = cutSlice(path, file.size, options)
    return Readable.from(chunks(file.slice(start, end)), { objectMode: false, ...(signal && { signal }) })
  }

  async readAll(path: StoragePath, options: CallOptions = {}): Promise<Buffer> {
    options.signal?.throwIfAborted()
    const file = this.#tree.file(path)
    if (file.size > maxReadAllBytes)
      throw new StorageError(`Cannot read "${path}" at once: ${file.size} bytes`, path)
    return file.slice(0, file.size)
  }

  async writeAll(path: StoragePath, content: Uint8Array, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#tree.put(path, new File(this.#clock.now(), content))
  }

  async openWriter(
    path: StoragePath,
    options: CallOptions & { readonly append?: boolean } = {},
  ): Promise<FileWriter> {
    options.signal?.throwIfAborted()
    if (!options.append) this.#tree.put(path, new File(this.#clock.now()))
    return new InMemoryWriter({ tree: this.#tree, clock: this.#clock, path, file: this.#tree.file(path) })
  }

  async list(path: StoragePath, options: CallOptions = {}): Promise<readonly StoragePath[]> {
    options.signal?.throwIfAborted()
    return [...this.#tree.directory(path).keys()].sort().map(name => childPath(path, name))
  }

  async *walk(
    prefix: StoragePath,
    options: CallOptions & { readonly after?: StoragePath } = {},
  ): AsyncGenerator<FileInfo, void, undefined> {
    const { signal, after } = options
    const stack: StoragePath[] = [prefix]
    for (let path = stack.pop(); path; path = stack.pop()) {
      signal?.throwIfAborted()
      try {
        const node = this.#tree.node(path)
        if (node instanceof Map) for (const child of (await this.list(path)).toReversed()) stack.push(child)
        else if (path !== prefix && (!after || isBefore(after, path))) yield nodeInfo(path, node)
      } catch (err) {
        if (!(err instanceof PathNotFoundError)) throw err
      }
    }
  }

  async move(from: StoragePath, to: StoragePath, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    const file = this.#tree.file(from)
    this.#tree.put(to, file)
    if (from !== to) this.#tree.take(from)
  }

  async remove(path: StoragePath, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#tree.take(path)
  }

  async close(): Promise<void> {}
}

function* chunks(content: Buffer): Generator<Buffer> {
  for (let start = 0; start < content.length; start += chunkBytes)
    yield content.subarray(start, start + chunkBytes)
}
