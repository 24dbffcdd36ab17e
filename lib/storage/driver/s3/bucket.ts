// The calls of S3 that the driver needs, on one bucket: keys and bytes, no path. What an object is stored with is set
// here and nowhere else. Errors are the driver's own.
import type { Readable } from 'node:stream'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { inParallel } from '../../../in-parallel.ts'
import type { CallOptions } from '../../../oci/descriptor.ts'
import { StorageError, type StoragePath } from '../driver.ts'
import type { S3Config, StorageClass } from './config.ts'
import { isAbsent, isUnsupported, storageFailure } from './failures.ts'
import type { Keys } from './keys.ts'

/** An object without its bytes. */
export interface Entry {
  readonly key: string
  readonly size: number
  readonly modifiedAtMs: number
}

export interface Page {
  readonly entries: readonly Entry[]
  /** With a delimiter: what the other keys begin with, delimiter included. */
  readonly prefixes: readonly string[]
  readonly isLast: boolean
}

export interface Body {
  readonly stream: Readable
  readonly size: number
  readonly etag: string | undefined
}

export interface BucketDeps {
  readonly client: S3Client
  readonly config: S3Config
  readonly keys: Keys
}

const maxDeletedAtOnce = 1000
const deletedInParallel = 16
const contentType = 'application/octet-stream'
/** Classes that bill each object for a month and more: what lives for minutes is not stored in them. */
const slowClasses = new Set<StorageClass>(['STANDARD_IA', 'ONEZONE_IA', 'GLACIER_IR', 'INTELLIGENT_TIERING'])

export class Bucket {
  readonly name: string
  readonly client: S3Client
  readonly config: S3Config
  readonly #keys: Keys
  #deletesMany = true

  constructor({ client, config, keys }: BucketDeps) {
    this.name = config.bucket
    this.client = client
    this.config = config
    this.#keys = keys
  }

  /** What every new object is stored with; `isStaged`: it will not stay. */
  attributes(isStaged: boolean) {
    const { acl, encryption, keyId, storageClass } = this.config
    const isSlow = storageClass !== undefined && slowClasses.has(storageClass)
    return {
      ContentType: contentType,
      ...(acl !== undefined && { ACL: acl }),
      ...(encryption !== undefined && { ServerSideEncryption: encryption }),
      ...(keyId !== undefined && { SSEKMSKeyId: keyId }),
      ...(storageClass !== undefined && !(isStaged && isSlow) && { StorageClass: storageClass }),
    }
  }

  /** undefined: there is none. */
  async head(key: string, options: CallOptions = {}): Promise<Entry | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.name, Key: key })
    try {
      const found = await this.call('stat', key, options, abort => this.client.send(command, abort))
      return {
        key,
        size: found.ContentLength ?? 0,
        modifiedAtMs: Math.floor(found.LastModified?.getTime() ?? 0),
      }
    } catch (err) {
      if (err instanceof StorageError && isAbsent(err.cause)) return undefined
      throw err
    }
  }

  /** Bytes `start` up to but not including `end`. PathNotFoundError; beyond the end, see isBeyondEnd() of the cause. */
  async get(
    key: string,
    {
      start = 0,
      end,
      etag,
      ...options
    }: CallOptions & {
      readonly start?: number
      readonly end?: number | undefined
      readonly etag?: string | undefined
    } = {},
  ): Promise<Body> {
    const isWhole = start === 0 && end === undefined
    const command = new GetObjectCommand({
      Bucket: this.name,
      Key: key,
      ...(!isWhole && { Range: `bytes=${start}-${end === undefined ? '' : end - 1}` }),
      ...(etag !== undefined && { IfMatch: etag }),
    })
    const found = await this.call('read', key, options, abort => this.client.send(command, abort))
    return { stream: found.Body as Readable, size: found.ContentLength ?? 0, etag: found.ETag }
  }

  /** All of a part or a link. */
  async getAll(
    key: string,
    options: CallOptions & { readonly start?: number; readonly end?: number } = {},
  ): Promise<Buffer> {
    const { stream } = await this.get(key, options)
    return await this.call('read', key, options, async () => {
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    })
  }

  async put(
    key: string,
    content: Uint8Array,
    { isStaged = false, ...options }: CallOptions & { readonly isStaged?: boolean } = {},
  ): Promise<void> {
    const command = new PutObjectCommand({
      Bucket: this.name,
      Key: key,
      Body: content,
      ContentLength: content.length,
      ...this.attributes(isStaged),
    })
    await this.call('write', key, options, abort => this.client.send(command, abort))
  }

  /** An object of at most 5 GiB, in one call. */
  async copyWhole(
    from: string,
    to: string,
    { isStaged = false, ...options }: CallOptions & { readonly isStaged?: boolean } = {},
  ): Promise<void> {
    const command = new CopyObjectCommand({
      Bucket: this.name,
      Key: to,
      CopySource: this.sourceOf(from),
      MetadataDirective: 'REPLACE',
      ...this.attributes(isStaged),
    })
    await this.call('copy', from, options, abort => this.client.send(command, abort))
  }

  /** How a copy names the object that it is made of. */
  sourceOf(key: string): string {
    return `${this.name}/${key.split('/').map(encodeURIComponent).join('/')}`
  }

  /** Objects whose keys begin so, in the order of their bytes. */
  async *pages(
    prefix: string,
    {
      delimiter,
      startAfter,
      maxKeys,
      ...options
    }: CallOptions & {
      readonly delimiter?: '/'
      readonly startAfter?: string | undefined
      readonly maxKeys?: number
    } = {},
  ): AsyncGenerator<Page, void, undefined> {
    let token: string | undefined
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.name,
        Prefix: prefix,
        ...(delimiter !== undefined && { Delimiter: delimiter }),
        ...(startAfter !== undefined && token === undefined && { StartAfter: startAfter }),
        ...(maxKeys !== undefined && { MaxKeys: maxKeys }),
        ...(token !== undefined && { ContinuationToken: token }),
      })
      const found = await this.call('list', prefix, options, abort => this.client.send(command, abort))
      token = found.IsTruncated === true ? found.NextContinuationToken : undefined
      yield {
        entries: (found.Contents ?? []).map(({ Key = '', Size = 0, LastModified }) => ({
          key: Key,
          size: Size,
          modifiedAtMs: LastModified?.getTime() ?? 0,
        })),
        prefixes: (found.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
        isLast: token === undefined,
      }
    } while (token !== undefined)
  }

  /** All entries of those pages, for what is known to be little. */
  async entries(prefix: string, options: CallOptions = {}): Promise<readonly Entry[]> {
    const found: Entry[] = []
    for await (const page of this.pages(prefix, options)) found.push(...page.entries)
    return found
  }

  /** Absent ones are fine. */
  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (let start = 0; start < keys.length; start += maxDeletedAtOnce) {
      const some = keys.slice(start, start + maxDeletedAtOnce)
      if (some.length === 1 || !this.#deletesMany || !(await this.#deleteMany(some, options)))
        await inParallel(deletedInParallel, some, key => this.#deleteOne(key, options))
    }
  }

  async #deleteOne(key: string, options: CallOptions): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.name, Key: key })
    await this.call('remove', key, options, abort => this.client.send(command, abort))
  }

  /** False where the server has no such call, as Google's has not. */
  async #deleteMany(keys: readonly string[], options: CallOptions): Promise<boolean> {
    const [first = ''] = keys
    const command = new DeleteObjectsCommand({
      Bucket: this.name,
      Delete: { Objects: keys.map(Key => ({ Key })), Quiet: true },
    })
    try {
      const { Errors: errors = [] } = await this.call('remove', first, options, abort =>
        this.client.send(command, abort),
      )
      const failed = errors.find(({ Code }) => Code !== 'NoSuchKey')
      if (failed !== undefined) {
        const path = this.#keys.path(failed.Key ?? first)
        throw new StorageError(`Cannot remove "${path}": answered ${failed.Code ?? 'an error'}`, path)
      }
      return true
    } catch (err) {
      if (!(err instanceof StorageError && isUnsupported(err.cause))) throw err
      this.#deletesMany = false
      return false
    }
  }

  /** What `send` gives, its failure told as one of the driver. */
  async call<T>(
    action: string,
    key: string,
    { signal }: CallOptions,
    send: (options: { readonly abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await send(signal === undefined ? {} : { abortSignal: signal })
    } catch (err) {
      signal?.throwIfAborted()
      throw storageFailure(action, this.pathOf(key), err)
    }
  }

  pathOf(key: string): StoragePath {
    return this.#keys.path(key)
  }
}
