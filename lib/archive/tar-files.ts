// An archive that is a tar file. One that is compressed, or comes as a stream, is written to a temporary file first,
// since what is in it is wanted in another order.
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { ArchiveError, type ArchiveFiles } from './files.ts'
import { indexTar } from './tar-index.ts'

export interface SpoolOptions {
  /** The most that a compressed archive, or one that comes as a stream, may have in full. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
}

const maxLinks = 16

export async function openTar(path: string, options: SpoolOptions): Promise<ArchiveFiles> {
  const file = await open(path, 'r')
  try {
    const head = Buffer.alloc(6)
    await file.read(head, 0, head.length, 0)
    if (compressionOf(head) === undefined) return await filesOf(file)
  } catch (err) {
    await file.close()
    throw err
  }
  await file.close()
  return await openTarStream(createReadStream(path), options)
}

/** Reads `content` to its end before it settles. */
export async function openTarStream(
  content: AsyncIterable<Uint8Array>,
  { maxBytes, signal }: SpoolOptions,
): Promise<ArchiveFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-archive-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const path = join(folder, 'archive.tar')
    const stages = [Readable.from(unpacked(content)), limited(maxBytes), createWriteStream(path)] as const
    await pipeline(...stages, signal === undefined ? {} : { signal })
    const files = await filesOf(await open(path, 'r'))
    return {
      ...files,
      async close() {
        await files.close()
        await remove()
      },
    }
  } catch (err) {
    await remove()
    throw err
  }
}

/** Takes the file over: it is closed with what this gives, or if this throws. */
async function filesOf(file: FileHandle): Promise<ArchiveFiles> {
  try {
    const { size: sizeBytes } = await file.stat()
    const entries = await indexTar(file, sizeBytes)
    const find = (name: string) => {
      let entry = entries.get(name)
      for (let links = 0; entry?.kind === 'link' && links < maxLinks; links++)
        entry = entries.get(entry.target)
      return entry?.kind === 'file' ? entry : undefined
    }
    return {
      size: name => Promise.resolve(find(name)?.size),
      open: name => {
        const entry = find(name)
        if (entry === undefined)
          return Promise.reject(new ArchiveError(`Cannot read "${name}": not in the archive`))
        const { offset, size } = entry
        return Promise.resolve(Readable.from(readRange(file, offset, size), { objectMode: false }))
      },
      close: () => file.close(),
    }
  } catch (err) {
    await file.close()
    throw err
  }
}

/** Not a stream of the file's own: destroying that would close the file. */
async function* readRange(file: FileHandle, offset: number, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size;) {
    const buffer = Buffer.allocUnsafe(Math.min(256 * 1024, size - at))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset + at)
    if (bytesRead === 0) throw new ArchiveError('Cannot read archive: it ends too early')
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** The tar itself, of which `content` may be a compressed form. */
async function* unpacked(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array, unknown> = content[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  let bytes = 0
  while (bytes < 6) {
    const next = await chunks.next()
    if (next.done === true) break
    first.push(next.value)
    bytes += next.value.length
  }
  async function* whole() {
    yield* first
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
  }
  const compression = compressionOf(Buffer.concat(first))
  if (compression === undefined) return yield* whole()
  if (compression !== 'gzip') {
    throw new ArchiveError(`Cannot read archive: it is compressed with ${compression}, unpack it first`)
  }
  const gunzip = createGunzip()
  const feeding = pipeline(whole(), gunzip)
  try {
    yield* gunzip as AsyncIterable<Uint8Array>
  } finally {
    gunzip.destroy()
    await feeding.catch(() => {})
  }
}

function compressionOf(head: Buffer): 'gzip' | 'zstd' | 'xz' | 'bzip2' | undefined {
  if (head.subarray(0, 2).equals(Buffer.of(0x1f, 0x8b))) return 'gzip'
  if (head.subarray(0, 4).equals(Buffer.of(0x28, 0xb5, 0x2f, 0xfd))) return 'zstd'
  if (head.subarray(0, 6).equals(Buffer.from('\xfd7zXZ\0', 'latin1'))) return 'xz'
  return head.subarray(0, 3).equals(Buffer.from('BZh')) ? 'bzip2' : undefined
}

function limited(maxBytes: number): Transform {
  let bytes = 0
  return new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length
      if (bytes <= maxBytes) return done(null, chunk)
      done(new ArchiveError(`Cannot read archive: it has more than ${maxBytes} bytes when it is unpacked`))
    },
  })
}
