// The one table of OCI error codes and the one error class that carries them.
// Domain code throws a RegistryError (or a subclass where somebody catches it); only http/middleware/render-errors
// turns it into a status and a body. Source: distribution-spec "Error Codes" and the statuses that distribution uses.

interface ErrorEntry {
  readonly status: number
  readonly message: string
  /** One sentence for the documentation. */
  readonly description: string
}

/** Wire code → HTTP status and the fixed message of the error body; specifics travel in `detail`. */
export const errorCodes = {
  UNKNOWN: {
    status: 500,
    message: 'unknown error',
    description: 'The registry failed; what happened is in its log.',
  },
  UNSUPPORTED: {
    status: 405,
    message: 'The operation is unsupported.',
    description:
      'The registry does not do this: not at all, not as it is configured, or not in the form that was asked for.',
  },
  UNAUTHORIZED: {
    status: 401,
    message: 'authentication required',
    description:
      'Credentials are missing, wrong, or do not suffice; the answer has a challenge that says how to authenticate.',
  },
  DENIED: {
    status: 403,
    message: 'requested access to the resource is denied',
    description: 'The client may not do this, or a rule of the registry forbids it to anybody.',
  },
  UNAVAILABLE: {
    status: 503,
    message: 'service unavailable',
    description: 'The registry, or the upstream that it has to ask, cannot answer now.',
  },
  TOOMANYREQUESTS: {
    status: 429,
    message: 'too many requests',
    description: 'The client has asked too often and should wait.',
  },
  DIGEST_INVALID: {
    status: 400,
    message: 'provided digest did not match uploaded content',
    description: 'A digest is malformed, of an algorithm that is not supported, or not that of the content.',
  },
  SIZE_INVALID: {
    status: 400,
    message: 'provided length did not match content length',
    description: 'The content does not have the length that was announced.',
  },
  RANGE_INVALID: {
    status: 416,
    message: 'invalid content range',
    description: 'The range is malformed, not in the content, or does not begin where the upload stands.',
  },
  NAME_INVALID: {
    status: 400,
    message: 'invalid repository name',
    description: 'The repository name does not follow the grammar.',
  },
  TAG_INVALID: {
    status: 400,
    message: 'manifest tag did not match URI',
    description: 'The tag does not follow the grammar.',
  },
  NAME_UNKNOWN: {
    status: 404,
    message: 'repository name not known to registry',
    description: 'There is no such repository, or no such path.',
  },
  MANIFEST_UNKNOWN: {
    status: 404,
    message: 'manifest unknown',
    description: 'The repository has no such tag, or no manifest of this digest.',
  },
  MANIFEST_INVALID: {
    status: 400,
    message: 'manifest invalid',
    description: 'The manifest is malformed, too large, or not allowed; the detail says why.',
  },
  MANIFEST_BLOB_UNKNOWN: {
    status: 400,
    message: 'blob unknown to registry',
    description:
      'The manifest refers to content that the repository does not have; the detail is its digest.',
  },
  BLOB_UNKNOWN: {
    status: 404,
    message: 'blob unknown to registry',
    description: 'The repository does not have the blob.',
  },
  BLOB_UPLOAD_UNKNOWN: {
    status: 404,
    message: 'blob upload unknown to registry',
    description:
      'There is no such upload session in the repository: it was completed, cancelled, or removed for its age.',
  },
  BLOB_UPLOAD_INVALID: {
    status: 404,
    message: 'blob upload invalid',
    description: 'The URL of the upload session is not one that the registry gave out.',
  },
  PAGINATION_NUMBER_INVALID: {
    status: 400,
    message: 'invalid number of results requested',
    description: 'The number of entries asked for is not a number, negative, or larger than allowed.',
  },
} as const satisfies Record<string, ErrorEntry>

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
