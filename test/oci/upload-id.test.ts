import t from 'tap'
import { createUploadId, parseUploadId } from '../../lib/oci/upload-id.ts'

t.test('parseUploadId() rejects what names no session', async t => {
  const texts = [
    '',
    '..',
    'not-a-uuid',
    '0190f5fe-2f9f-7a3b-8c1d-0123456789A0',
    '0190f5fe2f9f7a3b8c1d0123456789ab',
    '0190f5fe-2f9f-7a3b-8c1d-0123456789ab\n',
    '{0190f5fe-2f9f-7a3b-8c1d-0123456789ab}',
    'x'.repeat(10_000),
  ]
  for (const text of texts) {
    t.throws(
      () => parseUploadId(text),
      { name: 'RegistryError', code: 'BLOB_UPLOAD_UNKNOWN', message: /^[^]{0,140}$/ },
      JSON.stringify(text.slice(0, 12)),
    )
  }
})

t.test('parseUploadId() returns a UUID of any version unchanged', async t => {
  for (const text of ['0190f5fe-2f9f-7a3b-8c1d-0123456789ab', 'c56a4180-65aa-42ec-a945-5fd21dec0538']) {
    t.equal(parseUploadId(text), text)
  }
})

t.test('createUploadId() makes a new name each time that parseUploadId() takes', async t => {
  const first = createUploadId()

  t.equal(parseUploadId(first), first)
  t.not(createUploadId(), first)
})
