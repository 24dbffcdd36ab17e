// What lies where in a tar file, found by reading its headers and skipping what is between them. Memory is bounded
// whatever the file says of itself. Formats: POSIX ustar and pax, and the long names and numbers of GNU tar.
import type { FileHandle } from 'node:fs/promises'
import { ArchiveError, tidyName } from './files.ts'

export type TarEntry =
  | { readonly kind: 'file'; readonly offset: number; readonly size: number }
  /** The name of another entry. */
  | { readonly kind: 'link'; readonly target: string }

const blockBytes = 512
const maxEntries = 200_000
const maxLongBytes = 1024 * 1024

/** The entries by name, the last of those with the same name. ArchiveError. */
export async function indexTar(
  file: Pick<FileHandle, 'read'>,
  sizeBytes: number,
): Promise<ReadonlyMap<string, TarEntry>> {
  const entries = new Map<string, TarEntry>()
  let over: Overrides = {}
  let seen = 0
  for (let at = 0; at + blockBytes <= sizeBytes;) {
    const header = await readAt(file, at, blockBytes)
    if (header.every(byte => byte === 0)) break
    checkSum(header, at)
    if (++seen > maxEntries) throw new ArchiveError(`Cannot read archive: more than ${maxEntries} entries`)
    const type = String.fromCharCode(header[156] ?? 0)
    const isMeta = 'xgLK'.includes(type)
    const size = (isMeta ? undefined : over.size) ?? numberIn(header.subarray(124, 136))
    const offset = at + blockBytes
    if (!Number.isSafeInteger(size) || offset + size > sizeBytes)
      throw new ArchiveError(`Cannot read archive: it ends too early, at ${sizeBytes} bytes`)
    at = offset + Math.ceil(size / blockBytes) * blockBytes
    if (isMeta) {
      if (size > maxLongBytes) throw new ArchiveError('Cannot read archive: a header is too long')
      over = { ...over, ...overridesOf(type, await readAt(file, offset, size)) }
      continue
    }
    const name = over.name ?? nameIn(header)
    const target = over.target ?? textIn(header.subarray(157, 257))
    over = {}
    const entry = entryOf(type, { name, target, offset, size })
    if (entry !== undefined) entries.set(within(name), entry)
  }
  if (seen === 0) throw new ArchiveError('Cannot read archive: not a tar, or an empty one')
  return entries
}

interface Overrides {
  readonly name?: string
  readonly target?: string
  readonly size?: number
}

/** undefined: of no use, such as a directory or a device. */
function entryOf(
  type: string,
  { name, target, offset, size }: { name: string; target: string; offset: number; size: number },
): TarEntry | undefined {
  if (type === '0' || type === '\0' || type === '7') return { kind: 'file', offset, size }
  if (type === '1') return { kind: 'link', target: within(target) }
  // A symbolic link is meant from where it lies.
  if (type === '2') return { kind: 'link', target: within(target, name.slice(0, name.lastIndexOf('/') + 1)) }
  return undefined
}

function within(name: string, folder = ''): string {
  const tidy = name.startsWith('/') ? undefined : tidyName(folder + name)
  if (tidy === undefined)
    throw new ArchiveError(`Cannot read archive: "${name.slice(0, 200)}" leads out of it`)
  return tidy
}

function overridesOf(type: string, bytes: Buffer): Overrides {
  if (type === 'L') return { name: textIn(bytes) }
  if (type === 'K') return { target: textIn(bytes) }
  return type === 'x' ? paxIn(bytes) : {}
}

/** Records of `length key=value\n`, the length counting the whole record. */
function paxIn(bytes: Buffer): Overrides {
  const over: { name?: string; target?: string; size?: number } = {}
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at)
    const length = space < 0 ? NaN : Number(bytes.toString('latin1', at, space))
    const end = at + length
    if (!Number.isInteger(length) || end > bytes.length || end <= space)
      throw new ArchiveError('Cannot read archive: a pax header is damaged')
    const [key, ...value] = bytes.toString('utf8', space + 1, end - 1).split('=')
    if (key === 'path') over.name = value.join('=')
    if (key === 'linkpath') over.target = value.join('=')
    if (key === 'size') over.size = Number(value.join('='))
    at = end
  }
  return over
}

function nameIn(header: Buffer): string {
  const name = textIn(header.subarray(0, 100))
  // GNU tar has other things where ustar has the beginning of a long name.
  const isUstar = header.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isUstar ? textIn(header.subarray(345, 500)) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

function textIn(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.length : end)
}

/** Octal digits, or, where they do not suffice, a binary number whose first bit is set. */
function numberIn(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(field.readBigUInt64BE(field.length - 8))
  const text = textIn(field).trim()
  return text === '' ? 0 : /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : NaN
}

function checkSum(header: Buffer, at: number): void {
  let sum = 0
  // The field of the sum itself counts as spaces.
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte
  if (sum !== numberIn(header.subarray(148, 156)))
    throw new ArchiveError(
      at === 0 ? 'Cannot read archive: not a tar' : `Cannot read archive: damaged at byte ${at}`,
    )
}

async function readAt(file: Pick<FileHandle, 'read'>, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes)
  for (let done = 0; done < bytes;) {
    const { bytesRead } = await file.read(buffer, done, bytes - done, at + done)
    if (bytesRead === 0) throw new ArchiveError('Cannot read archive: it ends too early')
    done += bytesRead
  }
  return buffer
}
