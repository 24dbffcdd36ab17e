// Names of upload sessions. distribution only ever uses UUIDs and purges nothing else, so neither do we.
import { randomUUID } from 'node:crypto'
import { RegistryError } from './errors.ts'

declare const brand: unique symbol

/** A lower-case UUID. */
export type UploadId = string & { readonly [brand]: 'UploadId' }

const grammar = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createUploadId(): UploadId {
  return randomUUID() as string as UploadId
}

export function isUploadId(text: string): text is UploadId {
  return grammar.test(text)
}

/** Throws RegistryError BLOB_UPLOAD_UNKNOWN: what is not a session's name names no session. */
export function parseUploadId(text: string): UploadId {
  if (!isUploadId(text)) {
    throw new RegistryError(
      'BLOB_UPLOAD_UNKNOWN',
      `Cannot find upload session "${text.slice(0, 80)}": not a UUID`,
    )
  }
  return text
}
