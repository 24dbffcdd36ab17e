// When content was last used, over restarts and bad luck.
import t from 'tap'
import { Recency } from '../../lib/eviction/recency.ts'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { faultyDriver } from '../support/faulty-driver.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { silent } from '../support/mirrored-images.ts'
import { filesIn, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'

const [one, two] = [digestOf(Buffer.from('one')), digestOf(Buffer.from('two'))]
const shardOf = (digest: Digest) => digest.slice(7, 9)

const recencyOver = (driver: StorageDriver, clock = new ManualClock(), maxEntries = 100) =>
  new Recency({ driver, clock, logger: silent, maxEntries })

t.test('Recency goes on without what cannot be read or written, and tries again', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const faulty = faultyDriver(driver)
  const recency = recencyOver(faulty.driver)
  recency.used(one)
  faulty.fail('list', new Error('no route to store'))
  faulty.fail('writeAll', new Error('disk full'))

  await recency.save()
  t.same(await filesIn(driver), [])
  await recency.save()

  t.same(await filesIn(driver), [`/_mirror/_recency/${shardOf(one)}`])
})

onEachDriver(t, 'Recency.load() passes over what is broken', async (t, driver) => {
  const clock = new ManualClock()
  const lines = ['nonsense', `${one} 12x`, one, `${two} ${clock.now() - 5}`, `${one} 17`, 'sha256:cut off at']
  await driver.writeAll(layout.recencyShard('00'), Buffer.from(lines.join('\n')))
  await driver.writeAll(layout.recencyShard('other'), Buffer.from(`${one} 99\n`))
  const recency = recencyOver(driver, clock)

  await recency.load()

  t.equal(recency.lastUse(one), 17)
  t.equal(recency.lastUse(two), clock.now() - 5)
})

onEachDriver(t, 'Recency survives a restart, and what is newer wins', async (t, driver) => {
  const clock = new ManualClock()
  const before = recencyOver(driver, clock)
  before.used(one)
  before.used(two)
  const firstMs = clock.now()
  await before.save()

  clock.advance(1000)
  const after = recencyOver(driver, clock)
  after.used(two)
  await after.load()
  await after.save()

  for (const recency of [after, recencyOver(driver, clock)]) {
    await recency.load()
    t.equal(recency.lastUse(one), firstMs)
    t.equal(recency.lastUse(two), firstMs + 1000)
  }
})

onEachDriver(t, 'Recency.save() loses nothing that was not loaded before', async (t, driver) => {
  const before = recencyOver(driver)
  before.used(one)
  await before.save()
  const neighbour = `sha256:${shardOf(one)}${'0'.repeat(62)}` as Digest
  const after = recencyOver(driver)

  after.used(neighbour)
  await after.save()

  const restarted = recencyOver(driver)
  await restarted.load()
  t.ok(restarted.lastUse(one))
  t.ok(restarted.lastUse(neighbour))
})

t.test('Recency.save() writes only what has changed, and removes what is empty', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const changes: string[] = []
  const watched = hooked(driver, ({ action, path, when }) => {
    if (when === 'after' && ['writeAll', 'remove'].includes(action))
      changes.push(`${action} ${path.slice(-2)}`)
  })
  const recency = recencyOver(watched)
  recency.used(one)
  recency.used(two)
  await recency.save()
  await recency.save()
  recency.forget(one)
  recency.forget(one)

  await recency.save()

  t.same(changes, [`writeAll ${shardOf(one)}`, `writeAll ${shardOf(two)}`, `remove ${shardOf(one)}`])
})

t.test('Recency does not believe that content was used in the future', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const clock = new ManualClock()
  const before = recencyOver(driver, clock)
  before.used(one)
  await before.save()
  clock.advance(-60_000)

  const after = recencyOver(driver, clock)
  await after.load()

  t.equal(after.lastUse(one), clock.now())
})

t.test('Recency remembers so many digests at most, and forgets what nobody wants', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const recency = recencyOver(driver, new ManualClock(), 1)

  recency.used(one)
  recency.used(two)
  t.equal(recency.lastUse(two), undefined)
  recency.prune(digest => digest !== one)
  recency.used(two)

  t.equal(recency.lastUse(one), undefined)
  t.ok(recency.lastUse(two))
})
