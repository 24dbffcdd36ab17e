// What becomes of sessions that nobody finishes, and that no other is taken for one.
import fs from 'node:fs'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createUploadId } from '../../lib/oci/upload-id.ts'
import { layout } from '../../lib/storage/layout.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { bodyOf, createStores, filesIn, onEachDriver, openTestDriver } from '../support/stores.ts'
import { until } from '../support/until.ts'

const name = parseRepositoryName('team/app')
const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }
const hourMs = 3_600_000
const remove = { dryRun: false }

onEachDriver(
  t,
  'Uploads.list() lists the sessions of one repository, and nothing else',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    t.same(await uploads.list(name), [])
    const ids = [(await uploads.start(name)).id, (await uploads.start(name)).id]
    await uploads.start(parseRepositoryName('team/other'))
    await driver.writeAll(layout.uploadStartedAt(name, 'no-uuid' as never), Buffer.from('x'))

    t.same(await uploads.list(name), ids.toSorted())
  },
)

onEachDriver(
  t,
  'Uploads.removeIfStale() removes what was begun before, with all it received',
  async (t, driver) => {
    const clock = new ManualClock(Date.now() - 10 * hourMs)
    const { uploads } = createStores(driver, { clock })
    const empty = await uploads.start(name)
    const half = await uploads.start(name)
    await half.append(bodyOf('half'), 0)
    const startedAtMs = half.startedAtMs
    const later = Date.now() + hourMs

    t.equal(await uploads.removeIfStale(name, empty.id, startedAtMs, remove), false, 'not before')
    t.equal(await uploads.removeIfStale(name, half.id, later, { dryRun: true }), true)
    t.equal((await uploads.resume(name, half.id)).offset, 4, 'a dry run removes nothing')
    for (const { id } of [empty, half]) t.equal(await uploads.removeIfStale(name, id, later, remove), true)

    t.same(await filesIn(driver), [])
    for (const { id } of [empty, half]) await t.rejects(uploads.resume(name, id), unknown)
    await t.rejects(half.append(bodyOf('x'), 4), unknown)
    await t.rejects(half.complete(digestOf(Buffer.from('half'))), unknown)
    await t.rejects(uploads.removeIfStale(name, half.id, later, remove), unknown)
  },
)

t.test('Uploads.removeIfStale() keeps what was written to lately, by whomever', async t => {
  const root = t.testdir({})
  const driver = await openTestDriver(t, 'filesystem', { root })
  const clock = new ManualClock(Date.now() - 10 * hourMs)
  const session = await createStores(driver, { clock }).uploads.start(name)
  await session.append(bodyOf('half'), 0)
  const { uploads } = createStores(driver)
  const beforeMs = Date.now() - hourMs

  t.equal(await uploads.removeIfStale(name, session.id, beforeMs, remove), false)
  t.equal((await uploads.resume(name, session.id)).offset, 4)

  const written = (beforeMs - 1000) / 1000
  fs.utimesSync(root + layout.uploadContent(name, session.id), written, written)
  t.equal(await uploads.removeIfStale(name, session.id, beforeMs, remove), true)
})

onEachDriver(t, 'Uploads.removeIfStale() keeps what is being written, without waiting', async (t, driver) => {
  const clock = new ManualClock(Date.now() - 10 * hourMs)
  const { uploads } = createStores(driver, { clock })
  const session = await uploads.start(name)
  const body = new PassThrough()
  const appending = session.append(body, 0)
  body.write('slow')
  await until(async () => (await uploads.resume(name, session.id)).offset > 0 || body.readableLength === 0)

  t.equal(await uploads.removeIfStale(name, session.id, Date.now() + hourMs, remove), false)

  body.end()
  t.equal(await appending, 4)
})

onEachDriver(
  t,
  'Uploads.removeIfStale() keeps sessions of which it is not known when they began',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    const [broken, missing] = [createUploadId(), createUploadId()]
    await driver.writeAll(layout.uploadStartedAt(name, broken), Buffer.from('half a da'))
    await driver.writeAll(layout.uploadContent(name, missing), Buffer.from('bytes'))

    t.equal(await uploads.removeIfStale(name, broken, Date.now() - hourMs, remove), false)
    await t.rejects(uploads.removeIfStale(name, missing, Date.now() + hourMs, remove), unknown)

    t.equal((await filesIn(driver)).length, 2)
  },
)

onEachDriver(t, 'Uploads.removeIfStale() rejects with the reason of its signal', async (t, driver) => {
  const { uploads } = createStores(driver)
  const { id } = await uploads.start(name)
  const reason = new Error('gone')
  const options = { ...remove, signal: AbortSignal.abort(reason) }

  await t.rejects(uploads.removeIfStale(name, id, Date.now() + hourMs, options), reason)
  await t.rejects(uploads.list(name, options), reason)
})
