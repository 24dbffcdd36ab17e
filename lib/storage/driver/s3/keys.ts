// Which object holds what. A file is the object whose key is the root directory and the file's path. While it is being
// written it is a number of part objects below that key instead, each named after the offset of its first byte:
//
//   <path>/~0000000000000000  <path>/~0000000010485760  …  and, once commit() has been called, <path>/~committed
//
// A storage path has no `~`, so that parts and files never meet, and neither distribution nor our own lists see them.
// docs/design/009-s3.md says why it is done so.
import type { StoragePath } from '../driver.ts'

/** Translates paths for one root directory. */
export interface Keys {
  /** The key of a file, or of what is at a directory's own path. */
  of(path: StoragePath): string
  /** What the keys of all files below a directory begin with. */
  below(path: StoragePath): string
  /** The path that a key has; it may be none, where others have written to the bucket. */
  path(key: string): StoragePath
}

export function createKeys(rootDirectory: string): Keys {
  const root = rootDirectory === '' ? '' : `${rootDirectory}/`
  return {
    of: path => root + path.slice(1),
    below: path => (path === '/' ? root : `${root}${path.slice(1)}/`),
    path: key => `/${key.slice(root.length)}` as StoragePath,
  }
}

const offsetDigits = 16
const stagedKey = /^(.*)\/~(?:(\d{16})|committed)$/

/** What the keys of all part objects of the file at `key` begin with. */
export function partsPrefix(key: string): string {
  return `${key}/~`
}

export function partKey(key: string, offset: number): string {
  return `${key}/~${String(offset).padStart(offsetDigits, '0')}`
}

export function committedKey(key: string): string {
  return `${key}/~committed`
}

/** The file that an object is a part of, and where it begins: undefined for what says that the file is complete. */
export function parseStagedKey(
  key: string,
): { readonly file: string; readonly offset: number | undefined } | undefined {
  const [, file, offset] = stagedKey.exec(key) ?? []
  if (file === undefined) return undefined
  return { file, offset: offset === undefined ? undefined : Number(offset) }
}
