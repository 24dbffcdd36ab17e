import { createHmac } from 'node:crypto'
import t from 'tap'
import { createUploadState, type UploadState } from '../../../lib/http/v2/upload-state.ts'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { createUploadId } from '../../../lib/oci/upload-id.ts'

const name = parseRepositoryName('foo/bar')
const id = createUploadId()
const state: UploadState = { name, id, offset: 42, startedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5) }
const tokens = createUploadState('secret')

t.test('unpack() refuses what was not made here for this session', async t => {
  const token = tokens.pack(state)
  const tampered = Buffer.from(token, 'base64url')
  tampered[tampered.length - 2] = 0x31
  const signedJunk = (text: string) =>
    Buffer.concat([createHmac('sha256', 'secret').update(text).digest(), Buffer.from(text)]).toString(
      'base64url',
    )
  const table: readonly (readonly [what: string, token: string | undefined])[] = [
    ['missing', undefined],
    ['empty', ''],
    ['not base64url', '%%%'],
    ['no longer than its signature', Buffer.alloc(32).toString('base64url')],
    ['with another offset', tampered.toString('base64url')],
    ['cut', token.slice(0, -8)],
    ['of another secret', createUploadState('other').pack(state)],
    ['of another session', tokens.pack({ ...state, id: createUploadId() })],
    ['of another repository', tokens.pack({ ...state, name: parseRepositoryName('foo/baz') })],
    ['signed but not JSON', signedJunk('{')],
    ['signed but without offset', signedJunk(JSON.stringify({ Name: name, UUID: id }))],
    ['signed but with a negative offset', signedJunk(JSON.stringify({ Name: name, UUID: id, Offset: -1 }))],
  ]
  for (const [what, text] of table) {
    t.throws(() => tokens.unpack(text, name, id), { code: 'BLOB_UPLOAD_INVALID' }, what)
  }
})

t.test(
  'pack() makes the form of distribution: padded base64url of HMAC and JSON in its key order',
  async t => {
    const token = tokens.pack(state)

    const bytes = Buffer.from(token, 'base64')
    const json = `{"Name":"foo/bar","UUID":"${id}","Offset":42,"StartedAt":"2026-01-02T03:04:05Z"}`
    t.match(token, /^[\w-]+={0,2}$/)
    t.equal(token.length % 4, 0)
    t.equal(Buffer.from(token, 'base64url').subarray(32).toString(), json)
    t.same(bytes.subarray(0, 32), createHmac('sha256', 'secret').update(json).digest())
  },
)

t.test('unpack() gives the offset of its own tokens and of a replica with sub-second times', async t => {
  const json = `{"Name":"foo/bar","UUID":"${id}","Offset":7,"StartedAt":"2026-01-02T03:04:05.123456789+01:00"}`
  const replica = Buffer.concat([createHmac('sha256', 'secret').update(json).digest(), Buffer.from(json)])

  t.equal(tokens.unpack(tokens.pack(state), name, id), 42)
  t.equal(tokens.unpack(replica.toString('base64url'), name, id), 7)
})
