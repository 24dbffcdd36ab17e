// The tree behind the in-memory driver: directories hold nodes by name, files hold bytes that are only ever appended
// to, so that whoever has a file may read on, whatever becomes of its name.
import { PathNotFoundError, StorageError, type FileInfo, type StoragePath } from '../driver.ts'

/** Bytes that grow. */
export class File {
  modifiedAtMs: number
  #bytes: Buffer = Buffer.alloc(0)
  #size = 0

  constructor(modifiedAtMs: number, content: Uint8Array = this.#bytes) {
    this.modifiedAtMs = modifiedAtMs
    this.append(content)
  }

  get size(): number {
    return this.#size
  }

  append(chunk: Uint8Array): void {
    const size = this.#size + chunk.length
    if (size > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, this.#bytes.length * 2))
      this.#bytes.copy(larger, 0, 0, this.#size)
      this.#bytes = larger
    }
    this.#bytes.set(chunk, this.#size)
    this.#size = size
  }

  /** A view, not a copy: these bytes never change. */
  slice(start: number, end: number): Buffer {
    return this.#bytes.subarray(start, Math.min(end, this.#size))
  }
}

/** Children by name. */
export type Directory = Map<string, Node>
export type Node = File | Directory

/** What there is, from `/` down. */
export class Tree {
  readonly #root: Directory = new Map()

  /** The node at `path`. PathNotFoundError. */
  node(path: StoragePath): Node {
    let node: Node | undefined = this.#root
    for (const name of components(path)) node = node instanceof Map ? node.get(name) : undefined
    if (node === undefined) throw new PathNotFoundError(path)
    return node
  }

  /** The file at `path`. PathNotFoundError, for a directory as well. */
  file(path: StoragePath): File {
    const node = this.node(path)
    if (node instanceof Map) throw new PathNotFoundError(path)
    return node
  }

  /** The directory at `path`. PathNotFoundError, for a file as well. */
  directory(path: StoragePath): Directory {
    const node = this.node(path)
    if (!(node instanceof Map)) throw new PathNotFoundError(path)
    return node
  }

  /** Puts a file at `path`, in place of one that is there; makes directories. */
  put(path: StoragePath, file: File): void {
    const names = components(path)
    const last = names.pop() ?? ''
    let directory = this.#root
    for (const name of names) {
      const next: Node = directory.get(name) ?? new Map<string, Node>()
      if (!(next instanceof Map)) throw new PathNotFoundError(path)
      directory.set(name, next)
      directory = next
    }
    if (directory.get(last) instanceof Map)
      throw new StorageError(`Cannot write "${path}": is a directory`, path)
    directory.set(last, file)
  }

  /** Takes away what is at `path`, with all below it; nothing there is fine. */
  take(path: StoragePath): void {
    const names = components(path)
    const last = names.pop() ?? ''
    let node: Node | undefined = this.#root
    for (const name of names) node = node instanceof Map ? node.get(name) : undefined
    if (node instanceof Map) node.delete(last)
  }
}

/** What stat() and walk() tell of a node. */
export function nodeInfo(path: StoragePath, node: Node): FileInfo {
  return node instanceof Map
    ? { path, kind: 'directory', size: 0, modifiedAtMs: 0 }
    : { path, kind: 'file', size: node.size, modifiedAtMs: node.modifiedAtMs }
}

function components(path: StoragePath): string[] {
  return path.split('/').filter(name => name !== '')
}
