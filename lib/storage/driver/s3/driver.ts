// Files as objects of a bucket, under the keys that distribution gives them, so that either can take over from the
// other. Directories are what keys have in common; there are no empty ones.
//
// S3 has no rename: a file that is moved is copied by the server and removed. While it is being written it is a number
// of part objects (keys.ts), of which move() makes one, where the file goes.
import type { Readable } from 'node:stream'
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Clock } from '../../../clock.ts'
import { inParallel } from '../../../in-parallel.ts'
import type { CallOptions } from '../../../oci/descriptor.ts'
import {
  maxReadAllBytes,
  PathNotFoundError,
  StorageError,
  type FileInfo,
  type FileWriter,
  type Slice,
  type StorageDriver,
  type StoragePath,
} from '../driver.ts'
import { childPath, isComponent } from '../path.ts'
import { Bucket } from './bucket.ts'
import { createClient, type ClientDeps } from './client.ts'
import type { S3Config } from './config.ts'
import { committedKey, createKeys, parseStagedKey, partKey, type Keys } from './keys.ts'
import { MultipartCopies } from './multipart.ts'
import { openStream } from './read.ts'
import { findStaged, type Staged } from './staged.ts'
import { walkBucket } from './walk.ts'
import { S3Writer } from './writer.ts'

export interface S3DriverDeps extends ClientDeps {
  readonly clock: Pick<Clock, 'now'>
}

const dayMs = 24 * 60 * 60 * 1000
/** An upload to S3 that is older was abandoned. */
const oldUploadMs = 7 * dayMs

/** Holds sockets until it is closed. Neither makes the bucket nor looks whether there is one. */
export class S3Driver implements StorageDriver {
  readonly name = 's3aws'
  readonly #deps: S3DriverDeps
  readonly #bucket: Bucket
  readonly #signer: S3Client
  readonly #keys: Keys
  readonly #copies: MultipartCopies
  #tidiedAtMs = -Infinity

  constructor(config: S3Config, deps: S3DriverDeps) {
    this.#deps = deps
    this.#keys = createKeys(config.rootdirectory)
    this.#bucket = new Bucket({ client: createClient(config, deps), config, keys: this.#keys })
    this.#copies = new MultipartCopies(this.#bucket)
    const { redirectEndpoint } = config
    this.#signer =
      redirectEndpoint === undefined ? this.#bucket.client : createClient(config, deps, redirectEndpoint)
  }

  async stat(path: StoragePath, options: CallOptions = {}): Promise<FileInfo> {
    const { signal } = options
    signal?.throwIfAborted()
    const directory: FileInfo = { path, kind: 'directory', size: 0, modifiedAtMs: 0 }
    if (path === '/') return directory
    const key = this.#keys.of(path)
    const plain = await this.#bucket.head(key, { signal })
    if (plain !== undefined) return { path, kind: 'file', size: plain.size, modifiedAtMs: plain.modifiedAtMs }
    const first = await this.#firstBelow(path, options)
    if (first === undefined) throw new PathNotFoundError(path)
    if (parseStagedKey(first)?.file !== key) return directory
    const staged = await findStaged(this.#bucket, key, { signal })
    if (staged === undefined) throw new PathNotFoundError(path)
    return { path, kind: 'file', size: staged.size, modifiedAtMs: staged.modifiedAtMs }
  }

  read(path: StoragePath, { signal, start, end }: CallOptions & Slice = {}): Promise<Readable> {
    return openStream(this.#bucket, this.#keys.of(path), { signal, start, end })
  }

  async readAll(path: StoragePath, { signal }: CallOptions = {}): Promise<Buffer> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of await this.read(path, { signal })) {
      size += (chunk as Buffer).length
      if (size > maxReadAllBytes)
        throw new StorageError(`Cannot read "${path}" at once: more than ${maxReadAllBytes} bytes`, path)
      chunks.push(chunk as Buffer)
    }
    return Buffer.concat(chunks)
  }

  async writeAll(path: StoragePath, content: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    await this.#bucket.put(this.#keys.of(path), content, { signal })
  }

  async openWriter(
    path: StoragePath,
    { signal, append }: CallOptions & { readonly append?: boolean } = {},
  ): Promise<FileWriter> {
    const deps = {
      bucket: this.#bucket,
      copies: this.#copies,
      removeFile: (key: string) => this.#removeAll(key),
    }
    return await S3Writer.open(deps, this.#keys.of(path), { signal, ...(append === true && { append }) })
  }

  async list(path: StoragePath, { signal }: CallOptions = {}): Promise<readonly StoragePath[]> {
    const prefix = this.#keys.below(path)
    const names = new Set<string>()
    for await (const page of this.#bucket.pages(prefix, { delimiter: '/', signal })) {
      for (const { key } of page.entries) names.add(key.slice(prefix.length))
      for (const below of page.prefixes) names.add(below.slice(prefix.length, -1))
    }
    const found = [...names].filter(isComponent).sort()
    if (found.length === 0 && path !== '/') throw new PathNotFoundError(path)
    return found.map(name => childPath(path, name))
  }

  walk(
    prefix: StoragePath,
    options: CallOptions & { readonly after?: StoragePath } = {},
  ): AsyncIterable<FileInfo> {
    return walkBucket(this.#bucket, this.#keys, prefix, options)
  }

  async move(from: StoragePath, to: StoragePath, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const [source, target] = [this.#keys.of(from), this.#keys.of(to)]
    const plain = await this.#bucket.head(source, { signal })
    const staged = plain === undefined ? await findStaged(this.#bucket, source, { signal }) : undefined
    if (plain === undefined && staged === undefined) throw new PathNotFoundError(from)
    if (from === to) return
    if (plain !== undefined) await this.#copies.copy(source, plain.size, target, { signal })
    else if (staged?.isCommitted === true) await this.#compose(staged, target, { signal })
    else if (staged !== undefined) await this.#copyParts(staged, target, { signal })
    // It is there: no signal leaves it in both places.
    await this.#removeAll(source)
  }

  async remove(path: StoragePath, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const key = this.#keys.of(path)
    await Promise.all([this.#removeAll(key, { signal }), this.#abortUploads(key, { signal })])
  }

  /** Signed for GET, and for as long as `expiresMs`. */
  async redirectUrl(path: StoragePath, expiresMs: number): Promise<URL> {
    const command = new GetObjectCommand({ Bucket: this.#bucket.name, Key: this.#keys.of(path) })
    return new URL(await getSignedUrl(this.#signer, command, { expiresIn: Math.ceil(expiresMs / 1000) }))
  }

  async close(): Promise<void> {
    this.#bucket.client.destroy()
    this.#signer.destroy()
  }

  async #firstBelow(path: StoragePath, { signal }: CallOptions): Promise<string | undefined> {
    for await (const { entries } of this.#bucket.pages(this.#keys.below(path), { maxKeys: 1, signal }))
      return entries[0]?.key
    return undefined
  }

  /** A file that is complete: one object of its parts. */
  async #compose({ parts, size }: Staged, target: string, options: CallOptions): Promise<void> {
    const [first] = parts
    if (parts.length === 1 && first !== undefined)
      return await this.#copies.copy(first.key, size, target, options)
    const pieces = parts.map(part => ({ key: part.key, start: 0, end: part.size, isWhole: true }))
    await this.#copies.compose(pieces, target, options)
  }

  /** One that is not: its parts, in order that a crash leaves the beginning of it. */
  async #copyParts({ parts }: Staged, target: string, options: CallOptions): Promise<void> {
    const { maxConcurrency } = this.#bucket.config.copy
    await this.#removeAll(target)
    await inParallel(maxConcurrency, parts, part =>
      this.#copies.copy(part.key, part.size, partKey(target, part.offset), { ...options, isStaged: true }),
    )
  }

  /** The object and all below it. What says that parts are complete goes first, and parts before what they belong to. */
  async #removeAll(key: string, options: CallOptions = {}): Promise<void> {
    const [plain, below] = await Promise.all([
      this.#bucket.head(key, options),
      this.#bucket.entries(`${key}/`, options),
    ])
    const keys = below.map(entry => entry.key)
    if (keys.includes(committedKey(key))) await this.#bucket.delete([committedKey(key)], options)
    await this.#bucket.delete(
      [...keys.filter(one => one !== committedKey(key)), ...(plain === undefined ? [] : [key])],
      options,
    )
  }

  /** What copies and other programs have begun and left: below `key`, and once a day the old ones everywhere. */
  async #abortUploads(key: string, options: CallOptions): Promise<void> {
    const nowMs = this.#deps.clock.now()
    const isDue = nowMs - this.#tidiedAtMs >= dayMs
    if (isDue) this.#tidiedAtMs = nowMs
    const old = { prefix: this.#keys.below('/' as StoragePath), beforeMs: nowMs - oldUploadMs }
    await this.#copies.abortPending(key, isDue ? old : undefined, options)
  }
}
