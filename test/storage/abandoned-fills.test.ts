// What a crash leaves of unfinished fills is cleared away, and what another process may be filling is not.
import fs from 'node:fs'
import t from 'tap'
import { removeAbandonedFills } from '../../lib/storage/abandoned-fills.ts'
import { layout } from '../../lib/storage/layout.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { filesIn, hooked, openTestDriver } from '../support/stores.ts'

const hourMs = 60 * 60 * 1000
const half = Buffer.from('half a blob')

t.test('removeAbandonedFills() finds nothing where there never was a fill', async t => {
  for (const kind of ['inmemory', 'filesystem'] as const) {
    t.equal(await removeAbandonedFills(await openTestDriver(t, kind), new ManualClock()), 0)
  }
})

t.test('removeAbandonedFills() rejects with what the store fails with', async t => {
  const driver = hooked(await openTestDriver(t, 'inmemory'), ({ action }) => {
    if (action === 'list') throw new Error('input/output error')
  })

  await t.rejects(removeAbandonedFills(driver, new ManualClock()), { message: 'input/output error' })
})

t.test('removeAbandonedFills() removes what was not written to for a day, and nothing else', async t => {
  const clock = new ManualClock()
  const driver = await openTestDriver(t, 'inmemory', { clock })
  await driver.writeAll(layout.fillContent('old'), half)
  const writer = await driver.openWriter(layout.fillContent('running'))
  clock.advance(23 * hourMs)
  await writer.write(half)
  await driver.writeAll(layout.fillContent('young'), half)
  clock.advance(2 * hourMs)

  t.equal(await removeAbandonedFills(driver, clock), 1)

  t.same(await filesIn(driver), ['/_fills/running/data', '/_fills/young/data'])
})

t.test('removeAbandonedFills() removes folders that never got their file', async t => {
  const root = t.testdir({})
  const driver = await openTestDriver(t, 'filesystem', { root })
  const folder = root + layout.fill('empty')
  fs.mkdirSync(folder, { recursive: true })

  t.equal(await removeAbandonedFills(driver, new ManualClock(Date.now() + hourMs)), 0)
  t.equal(await removeAbandonedFills(driver, new ManualClock(Date.now() + 25 * hourMs)), 1)
  t.notOk(fs.existsSync(folder))
})

t.test('removeAbandonedFills() takes no offence at a fill that ends while it looks', async t => {
  const inner = await openTestDriver(t, 'filesystem')
  await inner.writeAll(layout.fillContent('ending'), half)
  const driver = hooked(inner, async ({ action, when }) => {
    if (action === 'list' && when === 'after') await inner.remove(layout.fill('ending'))
  })

  t.equal(await removeAbandonedFills(driver, new ManualClock(Date.now() + 25 * hourMs)), 0)
})
