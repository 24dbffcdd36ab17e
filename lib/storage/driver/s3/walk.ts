// The walk over a bucket. S3 lists keys in the order of their bytes, in which `a-b/x` and `a.b` come before `a/b`; a
// walk goes by components, where `/` comes before everything. They differ only behind a `-` or `.`:
//
// 1. At a key `P-…` or `P.…`, all that lies below `P/` is due first. It is walked there and then, unless the page at hand
//    shows that there is nothing; so that a request more is needed only where a name goes on from another.
// 2. `P` is remembered while keys begin with it. When the listing comes to `P/` it is passed over.
// 3. A walk that begins after `c/rest` is one below `c/` after `rest`, and then all beside it that comes after `c`.
import type { CallOptions } from '../../../oci/descriptor.ts'
import type { FileInfo, StoragePath } from '../driver.ts'
import { isBefore, isBelow, isFilePath } from '../path.ts'
import type { Bucket, Entry, Page } from './bucket.ts'
import { parseStagedKey, type Keys } from './keys.ts'
import { stagedOf } from './staged.ts'

/** After every key below a prefix that we or distribution write. */
const last = '~~'

/** Every file below `prefix`, those still being written among them. */
export async function* walkBucket(
  bucket: Pick<Bucket, 'pages'>,
  keys: Keys,
  prefix: StoragePath,
  { signal, after }: CallOptions & { readonly after?: StoragePath },
): AsyncGenerator<FileInfo, void, undefined> {
  signal?.throwIfAborted()
  const isInside = after !== undefined && after !== prefix && isBelow(after, prefix)
  if (after !== undefined && !isInside && after !== prefix && isBefore(prefix, after)) return
  const rest = isInside ? after.slice(prefix === '/' ? 1 : prefix.length + 1).split('/') : []
  for await (const file of files(keys, inOrder(bucket, keys.below(prefix), rest, signal))) {
    signal?.throwIfAborted()
    const isWanted = isFilePath(file.path) && file.path !== prefix
    if (isWanted && (after === undefined || isBefore(after, file.path))) yield file
  }
}

/** Parts become the file that they are of, unless that is there as well. */
async function* files(keys: Keys, entries: AsyncIterable<Entry>): AsyncGenerator<FileInfo, void, undefined> {
  let parts: Entry[] = []
  let file: string | undefined
  let plain: string | undefined
  const finished = function* (): Generator<FileInfo, void, undefined> {
    const staged = stagedOf(parts)
    if (file !== undefined && staged !== undefined && file !== plain) {
      const { size, modifiedAtMs } = staged
      yield { path: keys.path(file), kind: 'file', size, modifiedAtMs }
    }
    parts = []
    file = undefined
  }
  for await (const entry of entries) {
    const staged = parseStagedKey(entry.key)
    if (staged?.file !== file) yield* finished()
    if (staged === undefined) {
      plain = entry.key
      yield { path: keys.path(entry.key), kind: 'file', size: entry.size, modifiedAtMs: entry.modifiedAtMs }
    } else {
      file = staged.file
      parts.push(entry)
    }
  }
  yield* finished()
}

async function* inOrder(
  bucket: Pick<Bucket, 'pages'>,
  prefix: string,
  after: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, void, undefined> {
  const [first, ...rest] = after
  /** What `P` stands for above; each begins with the one before it. */
  let walked: string[] = []
  let startAfter: string | undefined
  if (first !== undefined) {
    startAfter = prefix + first
    walked = [...splits(startAfter, prefix.length)]
    if (rest.length > 0) {
      walked.push(startAfter)
      yield* inOrder(bucket, `${startAfter}/`, rest, signal)
    }
  }
  do {
    const from = startAfter
    startAfter = undefined
    for await (const page of bucket.pages(prefix, { startAfter: from, signal })) {
      for (const [index, entry] of page.entries.entries()) {
        const { key } = entry
        walked = walked.filter(stem => key.startsWith(stem))
        if (isWalked(walked, key)) continue
        for (const stem of splits(key, prefix.length)) {
          if (walked.includes(stem)) continue
          walked.push(stem)
          if (mayHave(page, index, `${stem}/`)) yield* inOrder(bucket, `${stem}/`, [], signal)
        }
        yield entry
      }
      startAfter = restOf(page, walked)
      if (startAfter !== undefined) break
    }
  } while (startAfter !== undefined)
}

/** The parts of a key, from `start` on, that end before a `-` or `.` and are the path of a directory, perhaps. */
function* splits(key: string, start: number): Generator<string, void, undefined> {
  for (let i = start + 1; i < key.length; i++) {
    if ((key[i] === '-' || key[i] === '.') && key[i - 1] !== '/') yield key.slice(0, i)
  }
}

function isWalked(walked: readonly string[], key: string): boolean {
  return walked.some(stem => key.startsWith(`${stem}/`))
}

/** Whether there may be keys that begin so, `index` being before them. */
function mayHave({ entries, isLast }: Page, index: number, start: string): boolean {
  const isPast = isLast || (entries.at(-1)?.key ?? '') > start + last
  return !isPast || entries.some(({ key }, i) => i > index && key.startsWith(start))
}

/** Where to go on if a page ends inside of what is walked already: nobody needs to be told the rest of that. */
function restOf({ entries, isLast }: Page, walked: readonly string[]): string | undefined {
  const key = entries.at(-1)?.key
  if (isLast || key === undefined) return undefined
  const stem = walked.find(stem => key.startsWith(`${stem}/`))
  return stem === undefined || key >= `${stem}/${last}` ? undefined : `${stem}/${last}`
}
