// A file that is still made of part objects: see keys.ts.
import type { CallOptions } from '../../../oci/descriptor.ts'
import type { Bucket, Entry } from './bucket.ts'
import { parseStagedKey, partsPrefix } from './keys.ts'

export interface Part {
  readonly key: string
  readonly offset: number
  readonly size: number
}

export interface Staged {
  /** In order, and without a gap: what comes after one is not counted. */
  readonly parts: readonly Part[]
  readonly size: number
  readonly modifiedAtMs: number
  readonly isCommitted: boolean
}

/** undefined: nothing is staged there. */
export async function findStaged(
  bucket: Bucket,
  key: string,
  options: CallOptions = {},
): Promise<Staged | undefined> {
  return stagedOf(await bucket.entries(partsPrefix(key), options))
}

/** What objects below one file's key, in the order of their keys, are together. */
export function stagedOf(entries: readonly Entry[]): Staged | undefined {
  const parts: Part[] = []
  let size = 0
  let modifiedAtMs = 0
  let isCommitted = false
  for (const entry of entries) {
    const staged = parseStagedKey(entry.key)
    if (staged === undefined) continue
    modifiedAtMs = Math.max(modifiedAtMs, entry.modifiedAtMs)
    if (staged.offset === undefined) isCommitted = true
    else if (staged.offset === size) {
      parts.push({ key: entry.key, offset: size, size: entry.size })
      size += entry.size
    }
  }
  return parts.length === 0 ? undefined : { parts, size, modifiedAtMs, isCommitted }
}
