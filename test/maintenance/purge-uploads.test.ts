import t from 'tap'
import { createLogger } from '../../lib/log.ts'
import { purgeUploads, startUploadPurging } from '../../lib/maintenance/purge-uploads.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createUploadId } from '../../lib/oci/upload-id.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createStores, filesIn, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'
import { until } from '../support/until.ts'

const [app, other] = [parseRepositoryName('team/app'), parseRepositoryName('other')]
const hourMs = 3_600_000

function setUp(driver: StorageDriver) {
  const clock = new ManualClock()
  const lines: Readonly<Record<string, unknown>>[] = []
  const logger = createLogger({
    level: 'info',
    formatter: 'json',
    fields: {},
    write: line => lines.push(JSON.parse(line) as Readonly<Record<string, unknown>>),
  })
  const { uploads } = createStores(driver, { clock })
  return { clock, lines, logger, uploads, deps: { driver, uploads, clock, logger, ageMs: 168 * hourMs } }
}

onEachDriver(
  t,
  'purgeUploads() removes old sessions of every repository, and no others',
  async (t, driver) => {
    const { clock, deps, lines, uploads } = setUp(driver)
    t.same(await purgeUploads({ ...deps, dryRun: false }), { removed: 0, failed: 0 })
    const old = [await uploads.start(app), await uploads.start(other)]
    await driver.writeAll(layout.uploadContent(app, createUploadId()), Buffer.from('without a start'))
    clock.advance(168 * hourMs)
    const young = await uploads.start(app)
    clock.advance(1000)

    t.same(await purgeUploads({ ...deps, dryRun: true }), { removed: 2, failed: 0 })
    t.equal((await filesIn(driver)).length, 4)
    t.same(await purgeUploads({ ...deps, dryRun: false }), { removed: 2, failed: 0 })

    for (const { id } of old) {
      for (const name of [app, other])
        await t.rejects(uploads.resume(name, id), { code: 'BLOB_UPLOAD_UNKNOWN' })
    }
    t.equal((await uploads.resume(app, young.id)).offset, 0)
    t.equal((await filesIn(driver)).length, 2)
    const said = lines.map(({ msg }) => msg)
    t.equal(said.filter(message => message === 'would remove unfinished upload').length, 2)
    t.equal(said.at(-1), 'Upload purge finished: 2 removed, 0 failed')
  },
)

t.test('purgeUploads() goes on after a session that it cannot remove', async t => {
  const inner = await openTestDriver(t, 'inmemory')
  const stuck = createUploadId()
  const driver = hooked(inner, ({ action, path, when }) => {
    if (action === 'remove' && when === 'before' && path.includes(stuck)) throw new Error('stuck')
  })
  const { clock, deps, lines, uploads } = setUp(driver)
  await driver.writeAll(layout.uploadStartedAt(app, stuck), Buffer.from('2020-01-01T00:00:00Z'))
  await uploads.start(app)
  await uploads.start(other)
  clock.advance(169 * hourMs)

  t.same(await purgeUploads({ ...deps, dryRun: false }), { removed: 2, failed: 1 })

  t.same(
    lines.filter(({ msg }) => msg === 'cannot purge upload').map(({ upload }) => upload),
    [stuck],
  )
})

t.test('purgeUploads() rejects with the reason of its signal', async t => {
  const { deps, uploads } = setUp(await openTestDriver(t, 'inmemory'))
  await uploads.start(app)
  const reason = new Error('stop')

  await t.rejects(purgeUploads({ ...deps, dryRun: false }, { signal: AbortSignal.abort(reason) }), reason)
})

t.test('startUploadPurging() does nothing where it is off, and where nothing may be written', async t => {
  const { deps } = setUp(await openTestDriver(t, 'inmemory'))
  const uploadpurging = { enabled: true, ageMs: hourMs, intervalMs: hourMs, dryrun: false }
  const all = { ...deps, metrics: createMetrics() }

  t.equal(
    startUploadPurging(
      { readonly: { enabled: false }, uploadpurging: { ...uploadpurging, enabled: false } },
      all,
    ),
    undefined,
  )
  t.equal(startUploadPurging({ readonly: { enabled: true }, uploadpurging }, all), undefined)
})

t.test('startUploadPurging() purges within the hour, and counts', async t => {
  for (const dryrun of [false, true]) {
    const { clock, deps, lines, uploads } = setUp(await openTestDriver(t, 'inmemory'))
    const metrics = createMetrics()
    await uploads.start(app)
    const uploadpurging = { enabled: true, ageMs: 1000, intervalMs: hourMs, dryrun }
    const purging = startUploadPurging({ readonly: { enabled: false }, uploadpurging }, { ...deps, metrics })
    await clock.slept()

    clock.advance(hourMs)
    await until(() => lines.some(({ msg }) => String(msg).startsWith('Upload purge finished')))
    await until(() => clock.sleeping === 1)
    await purging?.stop()

    t.match(lines[0], { msg: /^Starting upload purge in \d+(?:m0)?s$/ })
    t.equal((await metrics.uploadsPurged.get()).values[0]?.value, dryrun ? 0 : 1)
  }
})
