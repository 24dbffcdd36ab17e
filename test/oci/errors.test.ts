import t from 'tap'
import {
  BlobUnknownError,
  DigestMismatchError,
  errorCodes,
  ManifestUnknownError,
  ReferencesUnknownError,
  RegistryError,
  SizeMismatchError,
} from '../../lib/oci/errors.ts'

t.test('errorCodes holds the statuses that clients decide on', async t => {
  const expected: Readonly<Record<string, number>> = {
    BLOB_UNKNOWN: 404,
    BLOB_UPLOAD_INVALID: 404,
    BLOB_UPLOAD_UNKNOWN: 404,
    DENIED: 403,
    DIGEST_INVALID: 400,
    MANIFEST_BLOB_UNKNOWN: 400,
    MANIFEST_INVALID: 400,
    MANIFEST_UNKNOWN: 404,
    NAME_INVALID: 400,
    NAME_UNKNOWN: 404,
    PAGINATION_NUMBER_INVALID: 400,
    RANGE_INVALID: 416,
    SIZE_INVALID: 400,
    TAG_INVALID: 400,
    TOOMANYREQUESTS: 429,
    UNAUTHORIZED: 401,
    UNAVAILABLE: 503,
    UNKNOWN: 500,
    UNSUPPORTED: 405,
  }

  t.same(Object.fromEntries(Object.entries(errorCodes).map(([code, { status }]) => [code, status])), expected)
  t.ok(Object.values(errorCodes).every(({ message }) => message.length > 0))
})

t.test('RegistryError carries code, detail and cause, and no cause where there is none', async t => {
  const cause = new Error('disk full')

  const error = new RegistryError('UNKNOWN', 'Cannot write', { detail: { path: '/a' }, cause })

  t.match(error, {
    name: 'RegistryError',
    code: 'UNKNOWN',
    message: 'Cannot write',
    detail: { path: '/a' },
    cause,
  })
  t.notOk('cause' in new RegistryError('UNKNOWN', 'Cannot write'))
})

t.test('subclasses carry the code and the detail of the wire', async t => {
  const cases: readonly (readonly [error: RegistryError, expected: Readonly<Record<string, unknown>>])[] = [
    [
      new BlobUnknownError('sha256:a'),
      { name: 'BlobUnknownError', code: 'BLOB_UNKNOWN', detail: 'sha256:a' },
    ],
    [
      new ManifestUnknownError('a/b', 'latest'),
      { name: 'ManifestUnknownError', code: 'MANIFEST_UNKNOWN', detail: 'unknown tag=latest' },
    ],
    [
      new ManifestUnknownError('a/b', 'sha256:c'),
      { code: 'MANIFEST_UNKNOWN', detail: 'unknown manifest name=a/b revision=sha256:c' },
    ],
    [
      new ReferencesUnknownError(['sha256:a', 'sha256:b']),
      { name: 'ReferencesUnknownError', code: 'MANIFEST_BLOB_UNKNOWN', digests: ['sha256:a', 'sha256:b'] },
    ],
    [
      new DigestMismatchError('sha256:a', 'sha256:b'),
      { name: 'DigestMismatchError', code: 'DIGEST_INVALID', detail: 'expected sha256:a, found sha256:b' },
    ],
    [
      new SizeMismatchError(5, 4),
      { name: 'SizeMismatchError', code: 'SIZE_INVALID', detail: { expected: 5, found: 4 } },
    ],
  ]
  for (const [error, expected] of cases) {
    t.match(error, expected, String(expected['code']))
    t.ok(error instanceof RegistryError && error instanceof Error)
  }
})

t.test('a caller may replace the detail of an unknown blob', async t => {
  t.equal(new BlobUnknownError('sha256:a', { detail: 'elsewhere' }).detail, 'elsewhere')
})
