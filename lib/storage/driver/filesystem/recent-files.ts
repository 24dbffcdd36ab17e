// Small files read lately, which are mostly tag links: every pull by tag reads one. A hit costs one stat(2) instead of
// three trips through the thread pool.
//
// Other processes may replace files under us at any time, so that nothing is believed without a look: what was read is
// given out again only while the path leads to the same inode with the same times and size. Files are replaced by
// rename, never changed in place, so that another content is another inode. The look is synchronous: the inode of a
// file that was just read is in the kernel's memory, and what is not remembered is read through the thread pool.
import { statSync, type Stats } from 'node:fs'
import { LRUCache } from 'lru-cache'

interface Remembered {
  readonly stats: Stats
  readonly content: Buffer
}

const maxFiles = 10_000
const maxFileBytes = 4096

export class RecentFiles {
  readonly #files = new LRUCache<string, Remembered>({ max: maxFiles })

  /** A copy of what the file holds now, if it is known. */
  find(file: string): Buffer | undefined {
    const known = this.#files.get(file)
    if (known === undefined) return undefined
    if (isSame(known.stats, look(file))) return Buffer.from(known.content)
    this.#files.delete(file)
    return undefined
  }

  /** `stats` are those of the descriptor that `content` was read from. */
  remember(file: string, stats: Stats, content: Buffer): void {
    if (content.length <= maxFileBytes) this.#files.set(file, { stats, content: Buffer.from(content) })
  }
}

/** Undefined for any failure: whoever reads the file in earnest will meet it again. */
function look(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function isSame(a: Stats, b: Stats | undefined): boolean {
  return (
    b !== undefined &&
    a.ino === b.ino &&
    a.dev === b.dev &&
    a.size === b.size &&
    a.mtimeMs === b.mtimeMs &&
    a.ctimeMs === b.ctimeMs
  )
}
