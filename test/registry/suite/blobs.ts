// Blobs: visible in the repository that has them, whole or in part, and nowhere else.
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { digestOf } from '../../../lib/oci/digest.ts'
import { BlobUnknownError } from '../../../lib/oci/errors.ts'
import { app, bytesOf, other, pushBlob, readBlob, removeBlob, type Open } from './content.ts'

const unknown = digestOf(Buffer.from('nobody has this'))

export function blobSuite(t: Test, open: Open): void {
  void t.test('BlobService does not know what was not pushed: BlobUnknownError', async t => {
    const repository = (await open(t)).repository(app)

    await t.rejects(repository.blobs.stat(unknown), BlobUnknownError)
    await t.rejects(repository.blobs.open(unknown), BlobUnknownError)
    await t.rejects(removeBlob(repository, unknown), BlobUnknownError)
  })

  void t.test("BlobService does not know another repository's blob", async t => {
    const registry = await open(t)
    const { digest } = await pushBlob(registry.repository(app), 'private')
    const repository = registry.repository(other)

    await t.rejects(repository.blobs.stat(digest), BlobUnknownError)
    await t.rejects(repository.blobs.open(digest), BlobUnknownError)
    await t.rejects(removeBlob(repository, digest), BlobUnknownError)
    t.equal(String(await readBlob(registry.repository(app), digest)), 'private')
  })

  void t.test('BlobService.remove() takes the blob from this repository alone', async t => {
    const registry = await open(t)
    const [repository, elsewhere] = [registry.repository(app), registry.repository(other)]
    const { digest } = await pushBlob(repository, 'shared')
    await pushBlob(elsewhere, 'shared')

    await removeBlob(repository, digest)

    await t.rejects(repository.blobs.stat(digest), BlobUnknownError)
    await t.rejects(repository.blobs.open(digest), BlobUnknownError)
    await t.rejects(removeBlob(repository, digest), BlobUnknownError)
    t.equal(String(await readBlob(elsewhere, digest)), 'shared')
    await pushBlob(repository, 'shared')
    t.equal(String(await readBlob(repository, digest)), 'shared', 'and it can be pushed again')
  })

  void t.test('BlobService.stat() and open() tell size and digest', async t => {
    const repository = (await open(t)).repository(app)
    const bytes = Buffer.alloc(3 * 1024 * 1024, 'content')
    const { digest } = await pushBlob(repository, bytes)

    t.same(await repository.blobs.stat(digest), {
      mediaType: 'application/octet-stream',
      digest,
      size: bytes.length,
    })
    const body = bytesOf(await repository.blobs.open(digest))
    t.equal(body.digest, digest)
    t.equal(body.size, bytes.length)
    t.ok(bytes.equals(await buffer(await body.read())))
    t.ok(bytes.equals(await buffer(await body.read())), 'a body can be read twice')
  })

  void t.test('BlobBody.read() delivers exactly the range', async t => {
    const repository = (await open(t)).repository(app)
    const body = bytesOf(await repository.blobs.open((await pushBlob(repository, '0123456789')).digest))

    for (const [start, end, expected] of [
      [0, 1, '0'],
      [9, 10, '9'],
      [3, 7, '3456'],
      [0, 10, '0123456789'],
      [4, 4, ''],
    ] as const) {
      t.equal(String(await buffer(await body.read({ start, end }))), expected)
    }
  })

  void t.test('BlobService knows an empty blob', async t => {
    const repository = (await open(t)).repository(app)
    const { digest, size } = await pushBlob(repository, '')

    t.equal(size, 0)
    t.equal((await repository.blobs.stat(digest)).size, 0)
    t.equal((await readBlob(repository, digest)).length, 0)
  })

  void t.test('BlobBody.read() errs or rejects when it is aborted, and never ends short', async t => {
    const repository = (await open(t)).repository(app)
    const { digest } = await pushBlob(repository, Buffer.alloc(4 * 1024 * 1024))
    const body = bytesOf(await repository.blobs.open(digest))
    const leaving = new AbortController()

    const stream = await body.read(undefined, { signal: leaving.signal })
    const reading = (async () => {
      for await (const _ of stream) leaving.abort()
    })()

    await t.rejects(reading, { name: 'AbortError' })
    await t.rejects((async () => buffer(await body.read(undefined, { signal: leaving.signal })))())
  })
}
