// What a slice means for a file of a known size: the one place where offsets are judged.
import { InvalidOffsetError, type Slice, type StoragePath } from './driver.ts'

/**
 * The bytes that a slice takes of `size` bytes: `start` up to but not including `end`, which is never below `start`.
 * InvalidOffsetError if it starts beyond the end, or nowhere.
 */
export function cutSlice(
  path: StoragePath,
  size: number,
  slice: Slice,
): { readonly start: number; readonly end: number } {
  const { start = 0, end = size } = slice
  if (!Number.isSafeInteger(start) || start < 0 || start > size) throw new InvalidOffsetError(path, start)
  return { start, end: Math.max(start, Math.min(end, size)) }
}
