// The one table of OCI error codes and the one error class that carries them.
// Domain code throws a RegistryError (or a subclass where somebody catches it); only http/middleware/render-errors
// turns it into a status and a body. Source: distribution-spec "Error Codes" and the statuses that distribution uses.

/** Wire code → HTTP status and the fixed message of the error body; specifics travel in `detail`. */
export const errorCodes = {
  UNKNOWN: { status: 500, message: 'unknown error' },
  UNSUPPORTED: { status: 405, message: 'The operation is unsupported.' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  UNAVAILABLE: { status: 503, message: 'service unavailable' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  RANGE_INVALID: { status: 416, message: 'invalid content range' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  TAG_INVALID: { status: 400, message: 'manifest tag did not match URI' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown' },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_BLOB_UNKNOWN: { status: 400, message: 'blob unknown to registry' },
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 404, message: 'blob upload invalid' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'invalid number of results requested' },
} as const satisfies Record<string, { readonly status: number; readonly message: string }>

export type ErrorCode = keyof typeof errorCodes

export interface RegistryErrorOptions {
  /** What goes into the body's `detail`: JSON-able, never a secret. */
  readonly detail?: unknown
  readonly cause?: unknown
}

/** A failure that the protocol has a code for. `message` is for logs; the wire message comes from the table. */
export class RegistryError extends Error {
  override readonly name: string = 'RegistryError'
  readonly code: ErrorCode
  readonly detail: unknown

  constructor(code: ErrorCode, message: string, options: RegistryErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.detail = options.detail
  }
}

/** The blob is not in the store, or not linked to the repository that was asked. */
export class BlobUnknownError extends RegistryError {
  override readonly name = 'BlobUnknownError'

  constructor(digest: string, options: RegistryErrorOptions = {}) {
    super('BLOB_UNKNOWN', `Cannot find blob "${digest}"`, { detail: digest, ...options })
  }
}

/** No manifest under this tag or digest in the repository that was asked. */
export class ManifestUnknownError extends RegistryError {
  override readonly name = 'ManifestUnknownError'

  constructor(repository: string, reference: string, options: RegistryErrorOptions = {}) {
    const detail = reference.includes(':')
      ? `unknown manifest name=${repository} revision=${reference}`
      : `unknown tag=${reference}`
    super('MANIFEST_UNKNOWN', `Cannot find manifest "${reference}" in repository "${repository}"`, {
      detail,
      ...options,
    })
  }
}

/** A manifest names blobs or manifests that its repository does not hold; all of them are listed. */
export class ReferencesUnknownError extends RegistryError {
  override readonly name = 'ReferencesUnknownError'
  readonly digests: readonly string[]

  constructor(digests: readonly string[]) {
    super('MANIFEST_BLOB_UNKNOWN', `Cannot accept manifest: it refers to unknown ${digests.join(', ')}`)
    this.digests = digests
  }
}

/** The content does not hash to the digest it was announced under. Nothing of it is kept. */
export class DigestMismatchError extends RegistryError {
  override readonly name = 'DigestMismatchError'

  constructor(expected: string, found: string) {
    super('DIGEST_INVALID', `Cannot accept content: expected digest "${expected}", found "${found}"`, {
      detail: `expected ${expected}, found ${found}`,
    })
  }
}

/** A body was shorter or longer than declared. */
export class SizeMismatchError extends RegistryError {
  override readonly name = 'SizeMismatchError'

  constructor(expectedBytes: number, foundBytes: number) {
    super('SIZE_INVALID', `Cannot accept body: expected ${expectedBytes} bytes, found ${foundBytes}`, {
      detail: { expected: expectedBytes, found: foundBytes },
    })
  }
}
