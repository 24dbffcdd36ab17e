// A writer over one file of the tree. It holds the file itself, not its path: moving the file disturbs nobody.
import type { Clock } from '../../../clock.ts'
import type { CallOptions } from '../../../oci/descriptor.ts'
import { StorageError, type FileWriter, type StoragePath } from '../driver.ts'
import type { File, Tree } from './tree.ts'

interface Opened {
  readonly tree: Tree
  readonly clock: Clock
  readonly path: StoragePath
  readonly file: File
}

/** Appends to a file that is in the tree already. */
export class InMemoryWriter implements FileWriter {
  readonly #opened: Opened
  #state: 'writing' | 'committed' | 'closed' | 'cancelled' = 'writing'
  #released = false

  constructor(opened: Opened) {
    this.#opened = opened
  }

  get bytesWritten(): number {
    return this.#opened.file.size
  }

  async write(content: Uint8Array | readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#mustBeWriting('write')
    for (const chunk of content instanceof Uint8Array ? [content] : content) this.#opened.file.append(chunk)
    this.#opened.file.modifiedAtMs = this.#opened.clock.now()
  }

  async readWritten(
    position: number,
    maxBytes: number,
    options: CallOptions & { readonly into?: Buffer | undefined } = {},
  ): Promise<Buffer> {
    options.signal?.throwIfAborted()
    this.#mustBeHeld('read')
    const content = this.#opened.file.slice(position, position + maxBytes)
    return options.into === undefined ? content : options.into.subarray(0, content.copy(options.into))
  }

  async commit(): Promise<void> {
    if (this.#state === 'committed') return
    this.#mustBeWriting('commit')
    this.#state = 'committed'
  }

  async close(): Promise<void> {
    if (this.#state === 'writing') this.#state = 'closed'
  }

  async cancel(): Promise<void> {
    if (this.#state !== 'writing') return
    this.#state = 'cancelled'
    this.#opened.tree.take(this.#opened.path)
  }

  async release(): Promise<void> {
    this.#released = true
  }

  #mustBeWriting(action: string): void {
    this.#mustBeHeld(action)
    const { path } = this.#opened
    if (this.#state !== 'writing')
      throw new StorageError(`Cannot ${action} "${path}": writer is ${this.#state}`, path)
  }

  #mustBeHeld(action: string): void {
    const { path } = this.#opened
    if (this.#released) throw new StorageError(`Cannot ${action} "${path}": writer is released`, path)
  }
}
