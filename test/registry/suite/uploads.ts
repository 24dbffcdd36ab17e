// Uploads: sessions that can be resumed, and mounts.
import type { Test } from 'tap'
import { digestOf } from '../../../lib/oci/digest.ts'
import { BlobUnknownError, DigestMismatchError, SizeMismatchError } from '../../../lib/oci/errors.ts'
import { createUploadId } from '../../../lib/oci/upload-id.ts'
import { bodyOf, brokenBodyOf } from '../../support/stores.ts'
import { app, other, pushBlob, readBlob, removeBlob, uploadsOf, type Open } from './content.ts'

const bytes = Buffer.from('0123456789')
const digest = digestOf(bytes)
const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }

export function uploadSuite(t: Test, open: Open): void {
  void t.test('UploadService.resume() knows no session but those of its repository', async t => {
    const registry = await open(t)
    const session = await uploadsOf(registry.repository(app)).start()

    await t.rejects(uploadsOf(registry.repository(app)).resume(createUploadId()), unknown)
    await t.rejects(uploadsOf(registry.repository(other)).resume(session.id), unknown)
  })

  void t.test(
    'UploadSession refuses a wrong offset, a wrong length and a wrong digest, and goes on',
    async t => {
      const repository = (await open(t)).repository(app)
      const session = await uploadsOf(repository).start()

      await t.rejects(session.append(bodyOf('x'), 1), { code: 'RANGE_INVALID', detail: { offset: 0 } })
      await t.rejects(session.append(bodyOf('0123'), 0, { sizeBytes: 9 }), SizeMismatchError)
      await t.rejects(session.complete(digest), DigestMismatchError)
      await t.rejects(repository.blobs.stat(digest), BlobUnknownError)

      t.equal(await session.append(bodyOf('456789'), 4, { sizeBytes: 6 }), 10)
      t.equal((await session.complete(digest)).size, 10)
    },
  )

  void t.test('UploadSession keeps what came of a body that breaks off', async t => {
    const repository = (await open(t)).repository(app)
    const { id, startedAtMs } = await uploadsOf(repository).start()
    const first = await uploadsOf(repository).resume(id)
    await t.rejects(first.append(brokenBodyOf(new Error('reset'), '01', '23'), 0), { message: 'reset' })

    const second = await uploadsOf(repository).resume(id)

    t.equal(second.offset, 4)
    t.equal(second.startedAtMs, startedAtMs)
    await second.append(bodyOf('456789'), 4)
    await second.complete(digest)
    t.same(await readBlob(repository, digest), bytes)
  })

  void t.test('UploadSession is gone after complete() and cancel()', async t => {
    const uploads = uploadsOf((await open(t)).repository(app))
    const [completed, cancelled] = [await uploads.start(), await uploads.start()]
    await completed.append(bodyOf(bytes), 0)

    await completed.complete(digest)
    await cancelled.cancel()

    for (const { id } of [completed, cancelled]) await t.rejects(uploads.resume(id), unknown)
  })

  void t.test('UploadSession rejects with the reason of its signal', async t => {
    const uploads = uploadsOf((await open(t)).repository(app))
    const session = await uploads.start()
    const reason = new Error('gone')
    const signal = AbortSignal.abort(reason)

    await t.rejects(uploads.start({ signal }), reason)
    await t.rejects(uploads.resume(session.id, { signal }), reason)
    await t.rejects(session.append(bodyOf(bytes), 0, { signal }), reason)
    await t.rejects(session.complete(digest, { signal }), reason)
    t.equal(session.offset, 0)
  })

  void t.test('UploadSession of many chunks makes one blob', async t => {
    const repository = (await open(t)).repository(app)
    const session = await uploadsOf(repository).start()
    const whole = Buffer.alloc(300_000, 'abcdefg')

    for (let at = 0; at < whole.length; at += 37_001) {
      await session.append(bodyOf(whole.subarray(at, at + 37_001)), at)
    }
    await session.complete(digestOf(whole))

    t.ok(whole.equals(await readBlob(repository, digestOf(whole))))
  })

  void t.test('UploadService.mount() links what the other repository has, and nothing else', async t => {
    const registry = await open(t)
    const [from, to] = [registry.repository(app), registry.repository(other)]
    const { digest } = await pushBlob(from, 'shared')

    await t.rejects(uploadsOf(to).mount(digestOf(bytes), app), BlobUnknownError)
    await t.rejects(uploadsOf(from).mount(digest, other), BlobUnknownError, 'the other has not')

    t.same(await uploadsOf(to).mount(digest, app), {
      mediaType: 'application/octet-stream',
      digest,
      size: 6,
    })
    await removeBlob(from, digest)
    t.equal(String(await readBlob(to, digest)), 'shared')
  })
}
