// What a crash leaves of unfinished fills is cleared away, and what another process may be filling is not.
import fs from 'node:fs'
import t from 'tap'
import { removeAbandonedFills } from '../../lib/storage/abandoned-fills.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { layout } from '../../lib/storage/layout.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { filesIn, hooked, openTestDriver } from '../support/stores.ts'

const hourMs = 60 * 60 * 1000
const minuteMs = 60 * 1000
const half = Buffer.from('half a blob')
const large = Buffer.alloc(1024 * 1024, 'half')
const digest = digestOf(Buffer.from('a blob'))
const partial = layout.partialFill(digest).slice(layout.root.length)

/** Where a fill of the digest stages its content. */
const stagedAs = (id: string) => layout.fillContent(layout.fillIdOf(digest, id))

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

t.test('removeAbandonedFills() leaves what is being filled, here or elsewhere', async t => {
  const clock = new ManualClock()
  const driver = await openTestDriver(t, 'inmemory', { clock })
  await driver.writeAll(stagedAs('running'), large)
  clock.advance(9 * minuteMs)

  t.equal(await removeAbandonedFills(driver, clock), 0, 'elsewhere')
  clock.advance(48 * hourMs)
  t.equal(await removeAbandonedFills(driver, clock, { isRunning: one => one === digest }), 0, 'here')

  t.same(await filesIn(driver), [stagedAs('running').slice(layout.root.length)])
})

t.test('removeAbandonedFills() keeps what can be gone on with, after ten minutes', async t => {
  for (const kind of ['inmemory', 'filesystem'] as const) {
    const clock = new ManualClock(Date.now())
    const driver = await openTestDriver(t, kind, { clock })
    await driver.writeAll(stagedAs('a'), large)
    clock.advance(11 * minuteMs)

    t.equal(await removeAbandonedFills(driver, clock), 1)

    t.same(await filesIn(driver), [partial])
    t.same(await driver.readAll(layout.partialFill(digest)), large)
    t.equal(await removeAbandonedFills(driver, clock), 0, 'what is kept is no fill')
  }
})

t.test('removeAbandonedFills() keeps the longest of several', async t => {
  const clock = new ManualClock()
  const driver = await openTestDriver(t, 'inmemory', { clock })
  const longer = Buffer.concat([large, half])
  await driver.writeAll(stagedAs('a'), large)
  await driver.writeAll(stagedAs('b'), longer)
  await driver.writeAll(stagedAs('c'), large)
  clock.advance(11 * minuteMs)

  t.equal(await removeAbandonedFills(driver, clock), 3)

  t.same(await filesIn(driver), [partial])
  t.same(await driver.readAll(layout.partialFill(digest)), longer)
})

t.test('removeAbandonedFills() keeps nothing that is small or a day old', async t => {
  const clock = new ManualClock()
  const driver = await openTestDriver(t, 'inmemory', { clock })
  await driver.writeAll(stagedAs('small'), half)
  await driver.writeAll(stagedAs('old'), large)
  clock.advance(24 * hourMs)

  t.equal(await removeAbandonedFills(driver, clock), 2)

  t.same(await filesIn(driver), [])
})

t.test('removeAbandonedFills() shares the work with another process', async t => {
  const clock = new ManualClock()
  const inner = await openTestDriver(t, 'inmemory', { clock })
  await inner.writeAll(stagedAs('a'), large)
  clock.advance(11 * minuteMs)
  const driver = hooked(inner, async ({ action, when }) => {
    if (action === 'move' && when === 'before') await inner.move(stagedAs('a'), layout.partialFill(digest))
  })

  t.equal(await removeAbandonedFills(driver, clock), 0)

  t.same(await filesIn(inner), [partial])
})
