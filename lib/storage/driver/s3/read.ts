// Reading: one object or the parts of a staged file, as one stream. A server may drop a connection, most of all one
// that a slow client leaves idle: the stream goes on where it was.
import { Readable } from 'node:stream'
import type { CallOptions } from '../../../oci/descriptor.ts'
import { PathNotFoundError, StorageError, type Slice, type StoragePath } from '../driver.ts'
import { cutSlice } from '../slice.ts'
import type { Body, Bucket } from './bucket.ts'
import { isBeyondEnd, storageFailure } from './failures.ts'
import { findStaged, type Part, type Staged } from './staged.ts'

const maxResumes = 3

interface Source {
  readonly key: string
  readonly start: number
  readonly end: number
}

/** A stream whose first object is open. PathNotFoundError, InvalidOffsetError. */
export async function openStream(
  bucket: Bucket,
  key: string,
  options: CallOptions & Slice,
): Promise<Readable> {
  const { signal, start = 0, end } = options
  const path = bucket.pathOf(key)
  try {
    const isPlain = Number.isSafeInteger(start) && start >= 0 && (end === undefined || end > start)
    if (!isPlain) return await openMeasured(bucket, key, path, options)
    const body = await bucket.get(key, {
      start,
      end: end === Number.MAX_SAFE_INTEGER ? undefined : end,
      signal,
    })
    const source = { key, start, end: start + body.size }
    return streamOf(bucket, path, [source], body, signal)
  } catch (err) {
    if (err instanceof StorageError && isBeyondEnd(err.cause))
      return await openMeasured(bucket, key, path, options)
    if (!(err instanceof PathNotFoundError)) throw err
    const staged = await findStaged(bucket, key, { signal })
    if (staged === undefined) throw err
    return openParts(bucket, path, staged, options)
  }
}

/** Where the size has to be known, to judge the slice by. */
async function openMeasured(
  bucket: Bucket,
  key: string,
  path: StoragePath,
  options: CallOptions & Slice,
): Promise<Readable> {
  const { signal } = options
  const entry = await bucket.head(key, { signal })
  if (entry === undefined) throw new PathNotFoundError(path)
  const { start, end } = cutSlice(path, entry.size, options)
  if (start === end) return Readable.from([])
  return streamOf(bucket, path, [{ key, start, end }], undefined, signal)
}

function openParts(
  bucket: Bucket,
  path: StoragePath,
  staged: Staged,
  options: CallOptions & Slice,
): Readable {
  const { start, end } = cutSlice(path, staged.size, options)
  return streamOf(bucket, path, cut(staged.parts, start, end), undefined, options.signal)
}

function cut(parts: readonly Part[], start: number, end: number): readonly Source[] {
  return parts
    .map(({ key, offset, size }) => ({
      key,
      start: Math.max(0, start - offset),
      end: Math.min(size, end - offset),
    }))
    .filter(source => source.end > source.start)
}

/** `body` is the first source, if it is open already. */
function streamOf(
  bucket: Bucket,
  path: StoragePath,
  sources: readonly Source[],
  body: Body | undefined,
  signal: AbortSignal | undefined,
): Readable {
  let open = body
  const ended = new AbortController()
  const reading = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal])

  async function* bytes(): AsyncGenerator<Buffer, void, undefined> {
    for (const source of sources) yield* bytesOf(source)
  }

  async function* bytesOf({ key, start, end }: Source): AsyncGenerator<Buffer, void, undefined> {
    let position = start
    let etag = open?.etag
    for (let resumes = 0; ;) {
      try {
        open ??= await bucket.get(key, { start: position, end, etag, signal: reading })
        etag ??= open.etag
        for await (const chunk of open.stream) {
          position += (chunk as Buffer).length
          resumes = 0
          yield chunk as Buffer
        }
        if (position >= end) return
        throw new Error(`ended at ${position} of ${end} bytes`)
      } catch (err) {
        reading.throwIfAborted()
        if (err instanceof StorageError || ++resumes > maxResumes) throw storageFailure('read', path, err)
      } finally {
        open?.stream.destroy()
        open = undefined
      }
    }
  }

  const stream = Readable.from(bytes(), { objectMode: false, ...(signal !== undefined && { signal }) })
  stream.once('close', () => {
    ended.abort()
    open?.stream.destroy()
  })
  return stream
}
