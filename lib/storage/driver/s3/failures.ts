// What a refusal of the server means.
import { PathNotFoundError, StorageError, type StoragePath } from '../driver.ts'

interface Refusal extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number }
}

function statusOf(err: unknown): number | undefined {
  return err instanceof Error ? (err as Refusal).$metadata?.httpStatusCode : undefined
}

/** There is no such object. A bucket that does not exist is another matter. */
export function isAbsent(err: unknown): boolean {
  return (
    err instanceof Error && (err.name === 'NoSuchKey' || (err.name === 'NotFound' && statusOf(err) === 404))
  )
}

/** The range begins where the object ends, or later. */
export function isBeyondEnd(err: unknown): boolean {
  return err instanceof Error && (err.name === 'InvalidRange' || statusOf(err) === 416)
}

/** Nobody has such an upload, or not any more. */
export function isUnknownUpload(err: unknown): boolean {
  return err instanceof Error && err.name === 'NoSuchUpload'
}

const unsupported = new Set(['NotImplemented', 'MethodNotAllowed', 'UnsupportedOperation', 'XNotImplemented'])

/** This server does not have the call, whatever it is called with. */
export function isUnsupported(err: unknown): boolean {
  return err instanceof Error && (unsupported.has(err.name) || [405, 501].includes(statusOf(err) ?? 0))
}

/** Our credentials do not go that far. */
export function isForbidden(err: unknown): boolean {
  return err instanceof Error && err.name === 'AccessDenied'
}

/** The error that callers of the driver see. */
export function storageFailure(action: string, path: StoragePath, err: unknown): unknown {
  if (err instanceof StorageError) return err
  if (isAbsent(err)) return new PathNotFoundError(path, { cause: err })
  if (!(err instanceof Error)) return err
  const status = statusOf(err)
  const said = status === undefined ? err.message : `answered ${status} ${err.name}`
  return new StorageError(`Cannot ${action} "${path}": ${said}`, path, { cause: err })
}
