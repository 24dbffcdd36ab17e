// Storage paths: what is one, how one is put together, and the order in which walk() goes through them.
import { InvalidPathError, type StoragePath } from './driver.ts'

const filePath = /^(?:\/(?!\.\.?(?:\/|$))[A-Za-z0-9._-]+)+$/
const component = /^(?!\.\.?$)[A-Za-z0-9._-]+$/

/** Checks a path that was put together from text; `/` is one. InvalidPathError. */
export function parseStoragePath(text: string): StoragePath {
  if (!isDirectoryPath(text)) throw new InvalidPathError(text)
  return text
}

/** A path below `parent`. Checks nothing: wrap/checked.ts does, when the path is used. */
export function childPath(parent: StoragePath, ...names: readonly string[]): StoragePath {
  return `${parent === '/' ? '' : parent}/${names.join('/')}` as StoragePath
}

/** Whether a file may have this path: every storage path but `/`. */
export function isFilePath(text: string): text is StoragePath {
  return filePath.test(text)
}

/** Whether a directory may have this path: every storage path. */
export function isDirectoryPath(text: string): text is StoragePath {
  return text === '/' || filePath.test(text)
}

/** Whether `name` can be one component of a path. */
export function isComponent(name: string): boolean {
  return component.test(name)
}

/**
 * Whether `path` comes before `other` in walk() order, which is by components: `/a/b` comes before `/a-b`, although
 * `-` sorts before `/`.
 */
export function isBefore(path: StoragePath, other: StoragePath): boolean {
  return path.replaceAll('/', '\0') < other.replaceAll('/', '\0')
}

/** Whether `path` lies below the directory `parent`, at any depth. */
export function isBelow(path: StoragePath, parent: StoragePath): boolean {
  return parent === '/' || path.startsWith(`${parent}/`)
}
