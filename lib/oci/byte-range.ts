// Ranges of bytes. Inside the program a range is half-open [start, end); the inclusive ends of HTTP and of upload
// headers live in this file only. Sources: RFC 9110 section 14; distribution-spec "Pushing a blob in chunks".
import { RegistryError } from './errors.ts'

/** Bytes `start` up to but not including `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** What a Range header means for content of a known size. `ignored` is served as a whole (RFC 9110, 14.2). */
export type RangeVerdict =
  | { readonly kind: 'ignored' }
  | { readonly kind: 'unsatisfiable' }
  | { readonly kind: 'ranges'; readonly ranges: readonly ByteRange[] }

/** As many as clients of zstd:chunked layers ask for at once. */
const maxSpecs = 1024

/**
 * Judges a Range header for content of `sizeBytes`. A malformed header or one in another unit is ignored, as
 * RFC 9110 section 14.2 has it; no satisfiable range at all is unsatisfiable (416). Specs that overlap are merged; a
 * header with more than 1,024 of them, or of which all together ask for more than there is, is ignored: the whole costs
 * less (section 17.15). The pieces come in the order in which they were asked for.
 */
export function parseRange(header: string, sizeBytes: number): RangeVerdict {
  const match = /^\s*bytes\s*=(.*)$/i.exec(header)
  if (match?.[1] === undefined) return { kind: 'ignored' }
  const specs = match[1]
    .split(',')
    .map(spec => spec.trim())
    .filter(spec => spec !== '')
  if (specs.length === 0 || specs.length > maxSpecs) return { kind: 'ignored' }
  const ranges: ByteRange[] = []
  let askedBytes = 0
  for (const spec of specs) {
    const range = parseSpec(spec, sizeBytes)
    if (range === 'malformed') return { kind: 'ignored' }
    if (range === 'unsatisfiable') continue
    ranges.push(range)
    askedBytes += range.end - range.start
  }
  if (ranges.length === 0) return { kind: 'unsatisfiable' }
  return askedBytes > sizeBytes ? { kind: 'ignored' } : { kind: 'ranges', ranges: coalesce(ranges) }
}

/** The value of Content-Range for a part of content of `sizeBytes`. */
export function formatContentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.start}-${range.end - 1}/${sizeBytes}`
}

/**
 * Parses the Content-Range of an upload chunk, `start-end` without a unit and with an inclusive end
 * (distribution-spec end-5). A `bytes ` prefix and a total, which HTTP libraries like to add, are accepted.
 * Throws RegistryError RANGE_INVALID.
 */
export function parseUploadRange(header: string): ByteRange {
  const match = /^\s*(?:bytes[ =])?\s*(\d{1,15})\s*-\s*(\d{1,15})\s*(?:\/(?:\d{1,15}|\*))?\s*$/.exec(header)
  const start = Number(match?.[1])
  const last = Number(match?.[2])
  if (match === null || last < start) {
    throw new RegistryError('RANGE_INVALID', `Cannot parse Content-Range "${header.slice(0, 80)}"`, {
      detail: 'invalid content range',
    })
  }
  return { start, end: last + 1 }
}

/** The Range header of an upload reply: `0-0` both for nothing and for one byte, as distribution answers. */
export function formatUploadRange(bytesReceived: number): string {
  return `0-${Math.max(0, bytesReceived - 1)}`
}

/** Parses `bytes a-b/total` or `bytes a-b/*` of a 206 answer; undefined if it is neither, or lies beyond its total. */
export function parseContentRange(
  header: string,
): (ByteRange & { readonly total: number | undefined }) | undefined {
  const match = /^\s*bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)\s*$/i.exec(header)
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2]) + 1
  const total = match[3] === '*' ? undefined : Number(match[3])
  if (end <= start || (total !== undefined && end > total)) return undefined
  return { start, end, total }
}

function parseSpec(spec: string, sizeBytes: number): ByteRange | 'malformed' | 'unsatisfiable' {
  const match = /^(\d*)\s*-\s*(\d*)$/.exec(spec)
  if (match === null) return 'malformed'
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return 'malformed'
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes)
    return length === 0 ? 'unsatisfiable' : { start: sizeBytes - length, end: sizeBytes }
  }
  const start = Number(first)
  const end = last === '' ? sizeBytes : Number(last) + 1
  if (end <= start && last !== '') return 'malformed'
  if (start >= sizeBytes) return 'unsatisfiable'
  return { start, end: Math.min(end, sizeBytes) }
}

/**
 * Merges what overlaps. What only touches stays apart, since clients count the pieces they asked for; and they read
 * them one after the other, hence the order (RFC 9110, 15.3.7.2).
 */
function coalesce(ranges: readonly ByteRange[]): ByteRange[] {
  const sorted = ranges
    .map(({ start, end }, place) => ({ start, end, place }))
    .toSorted((a, b) => a.start - b.start)
  const merged: (typeof sorted)[number][] = []
  for (const range of sorted) {
    const previous = merged.at(-1)
    if (previous !== undefined && range.start < previous.end) {
      previous.end = Math.max(previous.end, range.end)
      previous.place = Math.min(previous.place, range.place)
    } else merged.push(range)
  }
  return merged.toSorted((a, b) => a.place - b.place).map(({ start, end }) => ({ start, end }))
}
