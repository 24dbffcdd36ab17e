// Upload sessions as clients, crashes and second processes treat them.
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { BlobUnknownError, DigestMismatchError, SizeMismatchError } from '../../lib/oci/errors.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createUploadId } from '../../lib/oci/upload-id.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { Uploads } from '../../lib/storage/uploads.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { bodyOf, brokenBodyOf, createStores, filesIn, hooked, onEachDriver } from '../support/stores.ts'

const name = parseRepositoryName('team/app')
const bytes = Buffer.from('0123456789')
const digest = digestOf(bytes)
const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }

/** The same driver, and how often each file was opened for reading. */
function counted(driver: StorageDriver) {
  const reads: string[] = []
  const watched = hooked(
    driver,
    ({ action, path, when }) => void (action === 'read' && when === 'after' && reads.push(path)),
  )
  return { reads, driver: watched }
}

onEachDriver(
  t,
  'Uploads.resume() knows no session that was not begun in this repository',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    const session = await uploads.start(name)

    await t.rejects(uploads.resume(name, createUploadId()), unknown)
    await t.rejects(uploads.resume(parseRepositoryName('team/other'), session.id), unknown)
  },
)

onEachDriver(
  t,
  'Upload.append() refuses an offset that is not the end, and takes nothing',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    const session = await uploads.start(name)
    await session.append(bodyOf('01234'), 0)

    for (const at of [0, 4, 6]) {
      await t.rejects(session.append(bodyOf('x'), at), { code: 'RANGE_INVALID', detail: { offset: 5 } })
    }

    t.equal(await session.append(bodyOf('56789'), 5), 10)
    t.equal((await session.complete(digest)).size, 10)
  },
)

onEachDriver(t, 'Upload.append() after cancel() finds no session', async (t, driver) => {
  const { uploads } = createStores(driver)
  const session = await uploads.start(name)
  await session.append(bodyOf('01234'), 0)

  await session.cancel()

  await t.rejects(session.append(bodyOf('5'), 5), unknown)
  await t.rejects(session.append(bodyOf('0'), 0), unknown)
  await t.rejects(session.complete(digest), unknown)
  await t.rejects(uploads.resume(name, session.id), unknown)
  await t.resolves(session.cancel())
  t.same(await filesIn(driver), [])
})

onEachDriver(t, 'Upload.complete() ends the session', async (t, driver) => {
  const { uploads } = createStores(driver)
  const session = await uploads.start(name)
  await session.append(bodyOf(bytes), 0)
  await session.complete(digest)

  await t.rejects(session.append(bodyOf('x'), 10), unknown)
  await t.rejects(session.append(bodyOf('x'), 0), unknown)
  await t.rejects(session.complete(digest), unknown)
  await t.rejects(uploads.resume(name, session.id), unknown)
  t.same(await filesIn(driver), [
    layout.blobContent(digest).slice(layout.root.length),
    layout.layerLink(name, digest).slice(layout.root.length),
  ])
})

onEachDriver(
  t,
  'Upload.complete() with the wrong digest keeps the session and shows nothing',
  async (t, driver) => {
    const { uploads, blobs, links } = createStores(driver)
    const session = await uploads.start(name)
    await session.append(bodyOf(bytes), 0)
    const wrong = digestOf(Buffer.from('wrong'))

    await t.rejects(session.complete(wrong), DigestMismatchError)
    await t.rejects(session.complete(digestOf(bytes.subarray(1), 'sha512')), DigestMismatchError)

    await t.rejects(blobs.stat(wrong), BlobUnknownError)
    await t.rejects(blobs.stat(digest), BlobUnknownError, 'although its bytes are all there')
    t.equal(await links.resolve(name, 'layer', wrong), undefined)
    t.equal((await (await uploads.resume(name, session.id)).complete(digest)).size, 10)
  },
)

onEachDriver(t, 'Upload keeps its bytes where only its session finds them', async (t, driver) => {
  const { uploads, blobs, links } = createStores(driver)
  const session = await uploads.start(name)
  await session.append(bodyOf(bytes), 0)

  await t.rejects(blobs.stat(digest), BlobUnknownError)
  t.equal(await links.resolve(name, 'layer', digest), undefined)
  t.same(await filesIn(driver), [
    layout.uploadContent(name, session.id).slice(layout.root.length),
    layout.uploadStartedAt(name, session.id).slice(layout.root.length),
  ])
})

onEachDriver(
  t,
  'Upload.append() keeps what came of a body that breaks off, and goes on from there',
  async (t, driver) => {
    const { reads, driver: watched } = counted(driver)
    const { uploads, blobs } = createStores(watched)
    const session = await uploads.start(name)

    await t.rejects(session.append(brokenBodyOf(new Error('reset'), '012', '34'), 0), { message: 'reset' })
    t.equal(session.offset, 5)
    const resumed = await uploads.resume(name, session.id)
    t.equal(resumed.offset, 5)
    await resumed.append(bodyOf('56789'), 5)
    await resumed.complete(digest)

    t.same(await blobs.readAll(digest), bytes)
    t.same(reads, [], 'the running hash went on, nothing was read again')
  },
)

onEachDriver(
  t,
  'Upload.append() tells a body that is not as long as announced, and keeps it',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    const session = await uploads.start(name)

    await t.rejects(session.append(bodyOf('0123'), 0, { sizeBytes: 5 }), SizeMismatchError)
    await t.rejects(session.append(bodyOf('456'), 4, { sizeBytes: 2 }), SizeMismatchError)

    t.equal(session.offset, 7)
    await session.append(bodyOf('789'), 7, { sizeBytes: 3 })
    t.equal((await session.complete(digest)).size, 10)
  },
)

onEachDriver(
  t,
  'Upload.append() rejects with the reason when it is aborted, and keeps what came',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    const session = await uploads.start(name)
    const leaving = new AbortController()
    const reason = new Error('gone')
    async function* stuck() {
      yield Buffer.from('01234')
      leaving.abort(reason)
      await new Promise(() => {})
    }
    const { Readable } = await import('node:stream')

    await t.rejects(
      session.append(Readable.from(stuck(), { objectMode: false }), 0, { signal: leaving.signal }),
      reason,
    )

    const { offset } = await uploads.resume(name, session.id)
    await session.append(bodyOf(bytes.subarray(offset)), offset)
    t.equal((await session.complete(digest)).size, 10)
  },
)

onEachDriver(t, 'Upload.complete() after a restart hashes what is stored, once', async (t, driver) => {
  const before = createStores(driver)
  const { id } = await before.uploads.start(name)
  await (await before.uploads.resume(name, id)).append(bodyOf('01234'), 0)
  const { reads, driver: watched } = counted(driver)
  const { uploads, blobs } = createStores(watched)

  const session = await uploads.resume(name, id)
  t.equal(session.offset, 5)
  await session.append(bodyOf('56789'), 5)
  await session.complete(digest)

  t.same(reads, [layout.uploadContent(name, id)])
  t.same(await blobs.readAll(digest), bytes)
})

onEachDriver(t, 'Upload.complete() after a restart refuses the wrong digest, too', async (t, driver) => {
  const { id } = await createStores(driver).uploads.start(name)
  await (await createStores(driver).uploads.resume(name, id)).append(bodyOf('01234'), 0)
  const { uploads } = createStores(driver)

  await t.rejects((await uploads.resume(name, id)).complete(digest), DigestMismatchError)

  t.equal((await uploads.resume(name, id)).offset, 5)
})

onEachDriver(t, 'Upload goes from process to process and back', async (t, driver) => {
  const [one, two] = [createStores(driver), createStores(driver)]
  const session = await one.uploads.start(name)
  await session.append(bodyOf('012'), 0)
  await (await two.uploads.resume(name, session.id)).append(bodyOf('3456'), 3)
  await session.append(bodyOf('789'), 7)

  t.equal((await session.complete(digest)).size, 10)

  t.same(await two.blobs.readAll(digest), bytes)
})

onEachDriver(t, 'Uploads hashes again what it could not keep in mind', async (t, driver) => {
  const { reads, driver: watched } = counted(driver)
  const { blobs, links } = createStores(watched)
  const uploads = new Uploads({ driver: watched, blobs, links, clock: new ManualClock(), maxLiveSessions: 1 })
  const first = await uploads.start(name)
  await first.append(bodyOf('01234'), 0)
  await (await uploads.start(name)).append(bodyOf('other'), 0)

  await first.append(bodyOf('56789'), 5)
  await first.complete(digest)

  t.same(reads, [layout.uploadContent(name, first.id)])
})

onEachDriver(t, 'Upload.complete() takes an empty blob, with or without an append', async (t, driver) => {
  const { uploads, blobs } = createStores(driver)
  const empty = digestOf(Buffer.alloc(0))
  for (const appends of [0, 2]) {
    const session = await uploads.start(name)
    for (let i = 0; i < appends; i++) t.equal(await session.append(bodyOf(), 0), 0)

    t.equal((await session.complete(empty)).size, 0)
  }

  t.equal((await buffer(await blobs.read(empty))).length, 0)
})

onEachDriver(t, 'Upload.complete() takes sha512', async (t, driver) => {
  const { uploads, blobs, links } = createStores(driver)
  const session = await uploads.start(name)
  await session.append(bodyOf(bytes), 0)
  const long = digestOf(bytes, 'sha512')

  t.equal((await session.complete(long)).digest, long)

  t.same(await blobs.readAll(long), bytes)
  t.equal(await links.resolve(name, 'layer', long), long)
})

onEachDriver(
  t,
  'Upload.complete() reads nothing again where start() was told the algorithm',
  async (t, driver) => {
    const { reads, driver: watched } = counted(driver)
    const { uploads, blobs } = createStores(watched)
    const session = await uploads.start(name, { algorithm: 'sha512' })
    await session.append(bodyOf('01234'), 0)
    await session.append(bodyOf('56789'), 5)

    await session.complete(digestOf(bytes, 'sha512'))

    t.same(reads, [])
    t.same(await blobs.readAll(digestOf(bytes, 'sha512')), bytes)
  },
)

onEachDriver(
  t,
  'Upload.complete() takes another algorithm than start() was told, and one after a restart',
  async (t, driver) => {
    const session = await createStores(driver).uploads.start(name, { algorithm: 'sha512' })
    await session.append(bodyOf(bytes), 0)
    const after = createStores(driver)
    const resumed = await after.uploads.resume(name, session.id)

    t.equal((await resumed.complete(digest)).digest, digest)

    t.same(await after.blobs.readAll(digest), bytes)
  },
)

onEachDriver(
  t,
  'Uploads remembers when a session began, to the second, across restarts',
  async (t, driver) => {
    const clock = new ManualClock(Date.parse('2026-08-18T09:30:00.987Z'))
    const { id, startedAtMs } = await createStores(driver, { clock }).uploads.start(name)
    const path = layout.uploadStartedAt(name, id)

    t.equal(startedAtMs, Date.parse('2026-08-18T09:30:00Z'))
    t.equal(String(await driver.readAll(path)), '2026-08-18T09:30:00Z')
    clock.advance(60_000)
    t.equal((await createStores(driver, { clock }).uploads.resume(name, id)).startedAtMs, startedAtMs)

    await driver.writeAll(path, Buffer.from('half a da'))
    t.equal((await createStores(driver, { clock }).uploads.resume(name, id)).startedAtMs, clock.now())
  },
)

onEachDriver(
  t,
  'Upload.complete() goes through with what is stored, also when its caller leaves',
  async (t, driver) => {
    const leaving = new AbortController()
    const watched = hooked(driver, ({ action, when }) => {
      if (action === 'move' && when === 'after') leaving.abort(new Error('gone'))
    })
    const { uploads, links } = createStores(watched)
    const session = await uploads.start(name)
    await session.append(bodyOf(bytes), 0)

    await session.complete(digest, { signal: leaving.signal })

    t.equal(await links.resolve(name, 'layer', digest), digest)
    await t.rejects(uploads.resume(name, session.id), unknown)
  },
)
