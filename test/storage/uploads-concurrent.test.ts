// Upload sessions when things happen at once, or fail half-way: what is stored under a digest must have that digest.
import { Readable } from 'node:stream'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { DigestMismatchError } from '../../lib/oci/errors.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import type { FileWriter, StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { bodyOf, createStores, filesIn, hold, hooked, onEachDriver } from '../support/stores.ts'

const name = parseRepositoryName('team/app')
const bytes = Buffer.from('0123456789')
const digest = digestOf(bytes)

/** A body that stops after `first` until it is released. */
function heldBody(first: string, rest: string) {
  const reached = hold()
  const { released, release } = hold()
  async function* pieces() {
    yield Buffer.from(first)
    reached.release()
    await released
    yield Buffer.from(rest)
  }
  return { body: Readable.from(pieces(), { objectMode: false }), reached: reached.released, release }
}

onEachDriver(
  t,
  'Uploads.resume() takes nothing from a first append() that runs beside it',
  async (t, driver) => {
    const reached = hold()
    const { released, release } = hold()
    let asked = 0
    let mayHold = true
    const held = hooked(driver, async ({ action, path, when }) => {
      if (!mayHold || action !== 'readAll' || when !== 'after' || !path.endsWith('/startedat')) return
      if (++asked < 2) return
      reached.release()
      await released
    })
    const { uploads, blobs } = createStores(held)
    const session = await uploads.start(name)
    const resuming = uploads.resume(name, session.id)
    await Promise.race([reached.released, resuming])
    mayHold = false
    await session.append(bodyOf(bytes), 0)
    release()
    await resuming

    t.equal((await session.complete(digest)).size, 10)

    t.same(await blobs.readAll(digest), bytes)
  },
)

onEachDriver(t, 'Uploads.resume() does not wait for an append() that is under way', async (t, driver) => {
  const { uploads } = createStores(driver)
  const session = await uploads.start(name)
  const { body, reached, release } = heldBody('01234', '56789')
  const appending = session.append(body, 0)
  await reached

  const { offset } = await uploads.resume(name, session.id)

  t.ok(offset <= 5)
  release()
  t.equal(await appending, 10)
})

onEachDriver(t, 'Upload.append() lets one of two in that come with the same offset', async (t, driver) => {
  const { uploads, blobs } = createStores(driver)
  const { id } = await uploads.start(name)
  const sessions = await Promise.all(Array.from({ length: 8 }, () => uploads.resume(name, id)))

  const outcomes = await Promise.allSettled(sessions.map(session => session.append(bodyOf(bytes), 0)))

  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  t.ok(
    outcomes.every(
      one => one.status === 'fulfilled' || (one.reason as { code: string }).code === 'RANGE_INVALID',
    ),
  )
  await sessions[0]?.complete(digest)
  t.same(await blobs.readAll(digest), bytes)
})

onEachDriver(
  t,
  'Upload.append() that is aborted while it waits takes nothing of its body',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    const session = await uploads.start(name)
    const { body, reached, release } = heldBody('01234', '56789')
    const appending = session.append(body, 0)
    await reached
    const leaving = new AbortController()
    const waiting = session.append(bodyOf('x'), 10, { signal: leaving.signal })

    leaving.abort(new Error('gone'))
    await t.rejects(waiting, { message: 'gone' })
    release()
    await appending

    t.equal((await session.complete(digest)).size, 10)
  },
)

onEachDriver(t, 'Upload.cancel() waits for an append() and then leaves nothing', async (t, driver) => {
  const { uploads } = createStores(driver)
  const session = await uploads.start(name)
  const { body, reached, release } = heldBody('01234', '56789')
  const appending = session.append(body, 0)
  await reached
  const cancelling = session.cancel()
  const late = session.append(bodyOf('x'), 10)

  release()
  await Promise.all([appending, cancelling])

  await t.rejects(late, { code: 'BLOB_UPLOAD_UNKNOWN' })
  t.same(await filesIn(driver), [])
})

onEachDriver(
  t,
  'Upload.complete() of the same digest in many sessions at once stores it once',
  async (t, driver) => {
    const { uploads, blobs } = createStores(driver)
    const names = Array.from({ length: 6 }, (_, i) => parseRepositoryName(`team/app${i}`))
    const sessions = await Promise.all(names.map(one => uploads.start(one)))
    await Promise.all(sessions.map(session => session.append(bodyOf(bytes), 0)))

    await Promise.all(sessions.map(session => session.complete(digest)))

    t.same(await blobs.readAll(digest), bytes)
    t.same(
      await filesIn(driver),
      [layout.blobContent(digest), ...names.map(one => layout.layerLink(one, digest))].map(path =>
        path.slice(layout.root.length),
      ),
    )
  },
)

/** A driver whose next write stores half of its chunk and fails. */
function failingOnce(inner: StorageDriver) {
  let isArmed = false
  const driver: StorageDriver = {
    ...hooked(inner, () => {}),
    async openWriter(path, options): Promise<FileWriter> {
      const writer = await inner.openWriter(path, options)
      return {
        get bytesWritten() {
          return writer.bytesWritten
        },
        async write(content, opts) {
          if (!isArmed) return writer.write(content, opts)
          isArmed = false
          const chunk = content instanceof Uint8Array ? content : Buffer.concat(content)
          await writer.write(chunk.subarray(0, chunk.length / 2), opts)
          throw new Error('no space left')
        },
        commit: () => writer.commit(),
        close: () => writer.close(),
        cancel: () => writer.cancel(),
        release: () => writer.release(),
      }
    },
  }
  return { driver, arm: () => void (isArmed = true) }
}

onEachDriver(
  t,
  'Upload.complete() goes by the bytes that were stored, not by those that could not be',
  async (t, inner) => {
    const { driver, arm } = failingOnce(inner)
    const { uploads } = createStores(driver)
    const session = await uploads.start(name)
    arm()
    await t.rejects(session.append(bodyOf(bytes), 0), { message: 'no space left' })
    t.equal(session.offset, 5)
    await session.append(bodyOf('xxxxx'), 5)

    await t.rejects(session.complete(digest), DigestMismatchError, 'what is stored is 01234xxxxx')

    t.equal((await session.complete(digestOf(Buffer.from('01234xxxxx')))).size, 10)
  },
)

onEachDriver(t, 'Upload.append() goes on where a write failed', async (t, inner) => {
  const { driver, arm } = failingOnce(inner)
  const { uploads, blobs } = createStores(driver)
  const session = await uploads.start(name)
  arm()
  await t.rejects(session.append(bodyOf(bytes), 0), { message: 'no space left' })

  await session.append(bodyOf('56789'), session.offset)
  await session.complete(digest)

  t.same(await blobs.readAll(digest), bytes)
})

onEachDriver(t, 'Upload.complete() that fails at the move can be repeated', async (t, inner) => {
  let failures = 1
  const driver = hooked(inner, ({ action, when }) => {
    if (action === 'move' && when === 'before' && failures-- > 0) throw new Error('disk')
  })
  const { uploads, blobs } = createStores(driver)
  const session = await uploads.start(name)
  await session.append(bodyOf(bytes), 0)

  await t.rejects(session.complete(digest), { message: 'disk' })
  await session.complete(digest)

  t.same(await blobs.readAll(digest), bytes)
})

onEachDriver(
  t,
  'Upload.complete() that fails at the link accepts nothing else afterwards',
  async (t, inner) => {
    let failures = 1
    const driver = hooked(inner, ({ action, path, when }) => {
      const isLink = action === 'writeAll' && path.endsWith('/link') && when === 'before'
      if (isLink && failures-- > 0) throw new Error('disk')
    })
    const { uploads, blobs } = createStores(driver)
    const session = await uploads.start(name)
    await session.append(bodyOf(bytes), 0)

    await t.rejects(session.complete(digest), { message: 'disk' })

    t.same(await blobs.readAll(digest), bytes, 'the blob itself is whole')
    const again = await uploads.resume(name, session.id)
    t.equal(again.offset, 0)
    await again.append(bodyOf(bytes), 0)
    t.equal((await again.complete(digest)).size, 10)
  },
)
