// The walk over a tree of files. A stack holds what is still to be visited, the next on top; of a directory that is
// popped, the children are pushed in reverse. Thus a walk needs memory for the directories on its way only, and one
// that begins `after` a path opens none that lies wholly before it. What disappears meanwhile is left out.
import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import type { CallOptions } from '../../../oci/descriptor.ts'
import type { FileInfo, StoragePath } from '../driver.ts'
import { childPath, isBefore, isBelow, isComponent } from '../path.ts'
import { fileInfo } from './file-info.ts'
import { errorCode, statFile, storageFailure } from './system-calls.ts'

interface Visit {
  readonly path: StoragePath
  readonly kind: 'file' | 'directory' | 'link'
}

/** Every file below `prefix`; `fileOf` tells where a storage path lies. Symbolic links are followed. */
export async function* walkDirectory(
  fileOf: (path: StoragePath) => string,
  prefix: StoragePath,
  options: CallOptions & { readonly after?: StoragePath },
): AsyncGenerator<FileInfo, void, undefined> {
  const { signal, after } = options
  const stack: Visit[] = [{ path: prefix, kind: 'directory' }]
  for (let visit = stack.pop(); visit; visit = stack.pop()) {
    signal?.throwIfAborted()
    const { path, kind } = visit
    try {
      if (kind === 'directory') {
        for (const child of await children(fileOf(path), path)) if (isAhead(child, after)) stack.push(child)
        continue
      }
      const info = fileInfo(path, await statFile(fileOf(path)))
      if (info.kind === 'directory') stack.push({ path, kind: 'directory' })
      else yield info
    } catch (err) {
      if (!['ENOENT', 'ENOTDIR'].includes(errorCode(err) ?? '')) throw storageFailure('walk', path, err)
    }
  }
}

// Last name first, as they go onto the stack.
async function children(directory: string, path: StoragePath): Promise<readonly Visit[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  return entries
    .filter(({ name }) => isComponent(name))
    .sort((a, b) => (a.name < b.name ? 1 : -1))
    .map(entry => ({ path: childPath(path, entry.name), kind: kindOf(entry) }))
}

function kindOf(entry: Dirent): Visit['kind'] {
  if (entry.isDirectory()) return 'directory'
  return entry.isSymbolicLink() ? 'link' : 'file'
}

// A directory before `after` is of interest only if `after` lies in it.
function isAhead({ path, kind }: Visit, after: StoragePath | undefined): boolean {
  if (after === undefined) return true
  return kind === 'file' ? isBefore(after, path) : !isBefore(path, after) || isBelow(after, path)
}
