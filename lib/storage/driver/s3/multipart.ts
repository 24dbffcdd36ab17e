// Objects that are put together by the server from others, in parallel: what is too large for one copy, and files from
// their parts. A server without such copies (Google's) is given the bytes once more.
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3'
import { inParallel } from '../../../in-parallel.ts'
import type { CallOptions } from '../../../oci/descriptor.ts'
import { StorageError } from '../driver.ts'
import type { Bucket } from './bucket.ts'
import { isForbidden, isUnknownUpload, isUnsupported } from './failures.ts'

/** Bytes of an object; `end` is not among them. */
export interface Piece {
  readonly key: string
  readonly start: number
  readonly end: number
  /** Whether that is the whole object. */
  readonly isWhole: boolean
}

interface PendingUpload {
  readonly key: string
  readonly uploadId: string
}

const uploadedInParallel = 4

export class MultipartCopies {
  readonly #bucket: Bucket
  #canCopyParts = true
  #canListUploads = true

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  /** Copies an object of any size. */
  async copy(
    from: string,
    size: number,
    to: string,
    options: CallOptions & { readonly isStaged?: boolean } = {},
  ): Promise<void> {
    const { thresholdBytes, chunkBytes } = this.#bucket.config.copy
    if (size <= thresholdBytes) return await this.#bucket.copyWhole(from, to, options)
    // S3 takes 10,000 parts.
    const step = Math.max(chunkBytes, Math.ceil(size / 10_000))
    const pieces = Array.from({ length: Math.ceil(size / step) }, (_, i) => ({
      key: from,
      start: i * step,
      end: Math.min(size, (i + 1) * step),
      isWhole: false,
    }))
    await this.compose(pieces, to, options)
  }

  /** Makes one object of pieces, each but the last of which has 5 MiB at least. Nothing is left of one that fails. */
  async compose(
    pieces: readonly Piece[],
    to: string,
    { isStaged = false, ...options }: CallOptions & { readonly isStaged?: boolean } = {},
  ): Promise<void> {
    const upload = await this.#create(to, isStaged, options)
    try {
      const numbered = pieces.map((piece, i) => ({ piece, number: i + 1 }))
      const parts = this.#canCopyParts
        ? await this.#copyParts(upload, numbered, options)
        : await this.#uploadParts(upload, numbered, options)
      const size = pieces.reduce((sum, { start, end }) => sum + end - start, 0)
      await this.#complete(upload, parts, size, options)
    } catch (err) {
      await this.#abort(upload).catch(() => {})
      throw err
    }
  }

  /** Ends all uploads to `key`, to what lies below it, and those under `prefix` that began before `beforeMs`. */
  async abortPending(
    key: string,
    old: { readonly prefix: string; readonly beforeMs: number } | undefined,
    options: CallOptions = {},
  ): Promise<void> {
    if (!this.#canListUploads) return
    const uploads = await this.#pending(old?.prefix ?? key, options)
    const isDue = (upload: PendingUpload & { readonly begunAtMs: number }) =>
      upload.key === key ||
      upload.key.startsWith(`${key}/`) ||
      (old !== undefined && upload.begunAtMs < old.beforeMs)
    await inParallel(uploadedInParallel, uploads.filter(isDue), upload => this.#abort(upload))
  }

  async #create(to: string, isStaged: boolean, options: CallOptions): Promise<PendingUpload> {
    const { name, client } = this.#bucket
    const command = new CreateMultipartUploadCommand({
      Bucket: name,
      Key: to,
      ...this.#bucket.attributes(isStaged),
    })
    const { UploadId: uploadId } = await this.#bucket.call('write', to, options, abort =>
      client.send(command, abort),
    )
    if (uploadId === undefined) {
      const path = this.#bucket.pathOf(to)
      throw new StorageError(`Cannot write "${path}": answered without an upload`, path)
    }
    return { key: to, uploadId }
  }

  async #copyParts(
    upload: PendingUpload,
    numbered: readonly Numbered[],
    options: CallOptions,
  ): Promise<readonly CompletedPart[]> {
    const { maxConcurrency } = this.#bucket.config.copy
    const [first, ...rest] = numbered
    if (first === undefined) return []
    // The first one tells whether the server can do it at all.
    const part = await this.#copyPart(upload, first, options)
    if (part === undefined) {
      this.#canCopyParts = false
      return await this.#uploadParts(upload, numbered, options)
    }
    const others = await inParallel(maxConcurrency, rest, async one => {
      const copied = await this.#copyPart(upload, one, options)
      return copied ?? (await this.#uploadPart(upload, one, options))
    })
    return [part, ...others]
  }

  /** undefined: the server does not copy parts. */
  async #copyPart(
    { key, uploadId }: PendingUpload,
    { piece, number }: Numbered,
    options: CallOptions,
  ): Promise<CompletedPart | undefined> {
    const { name, client } = this.#bucket
    const command = new UploadPartCopyCommand({
      Bucket: name,
      Key: key,
      UploadId: uploadId,
      PartNumber: number,
      CopySource: this.#bucket.sourceOf(piece.key),
      ...(!piece.isWhole && { CopySourceRange: `bytes=${piece.start}-${piece.end - 1}` }),
    })
    try {
      const copied = await this.#bucket.call('copy', piece.key, options, abort => client.send(command, abort))
      const etag = copied.CopyPartResult?.ETag
      return etag === undefined ? undefined : { ETag: etag, PartNumber: number }
    } catch (err) {
      if (err instanceof StorageError && isUnsupported(err.cause)) return undefined
      throw err
    }
  }

  #uploadParts(
    upload: PendingUpload,
    numbered: readonly Numbered[],
    options: CallOptions,
  ): Promise<readonly CompletedPart[]> {
    return inParallel(uploadedInParallel, numbered, one => this.#uploadPart(upload, one, options))
  }

  async #uploadPart(
    { key, uploadId }: PendingUpload,
    { piece, number }: Numbered,
    options: CallOptions,
  ): Promise<CompletedPart> {
    const { name, client } = this.#bucket
    const { start, end } = piece
    const content = await this.#bucket.getAll(piece.key, {
      ...options,
      ...(!piece.isWhole && { start, end }),
    })
    const command = new UploadPartCommand({
      Bucket: name,
      Key: key,
      UploadId: uploadId,
      PartNumber: number,
      Body: content,
      ContentLength: content.length,
    })
    const { ETag: etag } = await this.#bucket.call('write', key, options, abort =>
      client.send(command, abort),
    )
    return { ETag: etag, PartNumber: number }
  }

  async #complete(
    { key, uploadId }: PendingUpload,
    parts: readonly CompletedPart[],
    size: number,
    options: CallOptions,
  ): Promise<void> {
    const { name, client } = this.#bucket
    const command = new CompleteMultipartUploadCommand({
      Bucket: name,
      Key: key,
      UploadId: uploadId,
      MultipartUpload: { Parts: [...parts] },
    })
    try {
      await this.#bucket.call('write', key, options, abort => client.send(command, abort))
    } catch (err) {
      // The answer to an earlier attempt may have been lost on the way.
      const isDone = err instanceof StorageError && isUnknownUpload(err.cause)
      if (!isDone || (await this.#bucket.head(key, options))?.size !== size) throw err
    }
  }

  async #abort({ key, uploadId }: PendingUpload): Promise<void> {
    const { name, client } = this.#bucket
    const command = new AbortMultipartUploadCommand({ Bucket: name, Key: key, UploadId: uploadId })
    try {
      await this.#bucket.call('remove', key, {}, abort => client.send(command, abort))
    } catch (err) {
      if (!(err instanceof StorageError && isUnknownUpload(err.cause))) throw err
    }
  }

  async #pending(
    prefix: string,
    options: CallOptions,
  ): Promise<readonly (PendingUpload & { readonly begunAtMs: number })[]> {
    const { name, client } = this.#bucket
    const found: (PendingUpload & { readonly begunAtMs: number })[] = []
    let next: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {}
    try {
      while (next !== undefined) {
        const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
          Bucket: name,
          Prefix: prefix,
          ...next,
        })
        const page = await this.#bucket.call('list', prefix, options, abort => client.send(command, abort))
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (Key === undefined || UploadId === undefined) continue
          found.push({ key: Key, uploadId: UploadId, begunAtMs: Initiated?.getTime() ?? Infinity })
        }
        next =
          page.IsTruncated === true
            ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
            : undefined
      }
    } catch (err) {
      if (!(err instanceof StorageError && (isUnsupported(err.cause) || isForbidden(err.cause)))) throw err
      this.#canListUploads = false
    }
    return found
  }
}

interface Numbered {
  readonly piece: Piece
  readonly number: number
}
