// What is kept of unfinished fills is bounded, and the oldest goes first.
import t, { type Test } from 'tap'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import { createBlobStore } from '../../lib/storage/blob-store.ts'
import { layout } from '../../lib/storage/layout.ts'
import { PartialFills, type PartialFillsDeps } from '../../lib/storage/partial-fills.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { filesIn, openTestDriver } from '../support/stores.ts'

const mebibyte = 1024 * 1024
const hourMs = 60 * 60 * 1000

async function start(t: Test, limits: Partial<PartialFillsDeps> = {}) {
  const clock = new ManualClock()
  const driver = await openTestDriver(t, 'inmemory', { clock })
  const blobs = createBlobStore({ driver })
  const partials = new PartialFills({ driver, blobs, clock, ...limits })

  async function stage(digest: Digest, sizeBytes: number) {
    const writer = await blobs.create({ digest })
    await writer.write(Buffer.alloc(sizeBytes))
    return writer
  }

  async function keep(name: string, sizeBytes = mebibyte): Promise<Digest> {
    const digest = digestOf(Buffer.from(name))
    const writer = await stage(digest, sizeBytes)
    await partials.keep(writer)
    await writer.release()
    clock.advance(1000)
    return digest
  }
  return { clock, driver, partials, stage, keep }
}

const sizesOf = (partials: PartialFills, digests: readonly Digest[]) =>
  Promise.all(digests.map(digest => partials.find(digest)))

t.test('PartialFills.find() finds nothing where nothing, or nothing but a name, is kept', async t => {
  const { driver, partials } = await start(t)
  const digest = digestOf(Buffer.from('a'))

  t.equal(await partials.find(digest), undefined)
  await driver.writeAll(layout.partialFill(digest), Buffer.alloc(0))
  t.equal(await partials.find(digest), undefined)
})

t.test('PartialFills.keep() keeps nothing below 1 MiB', async t => {
  const { driver, keep, partials } = await start(t)

  await keep('small', mebibyte - 1)

  t.same(await filesIn(driver), [])
  t.equal(partials.sizeBytes(), 0)
})

t.test('PartialFills.keep() removes the oldest where there are too many', async t => {
  const { keep, partials } = await start(t, { maxFiles: 2 })

  const digests = [await keep('a'), await keep('b'), await keep('c')]

  t.same(await sizesOf(partials, digests), [undefined, mebibyte, mebibyte])
  t.equal(partials.sizeBytes(), 2 * mebibyte)
})

t.test('PartialFills.keep() removes what is too much, be it the newest', async t => {
  const { keep, partials } = await start(t, { maxBytes: 3 * mebibyte })

  const digests = [await keep('a'), await keep('b', 2 * mebibyte), await keep('c', 4 * mebibyte)]

  t.same(await sizesOf(partials, digests), [mebibyte, 2 * mebibyte, undefined])
  t.equal(partials.sizeBytes(), 3 * mebibyte)
})

t.test('PartialFills.tidy() removes what nobody came back for within a day', async t => {
  const { clock, driver, keep, partials } = await start(t)
  await keep('old')
  clock.advance(12 * hourMs)
  const young = await keep('young')
  clock.advance(12 * hourMs)

  t.same(await partials.tidy(), { abandoned: 0, removed: 1 })

  t.same(await filesIn(driver), [layout.partialFill(young).slice(layout.root.length)])
  t.equal(partials.sizeBytes(), mebibyte)
})

t.test('PartialFills.tidy() finds what an earlier process has left', async t => {
  const { clock, driver, keep, stage } = await start(t)
  const kept = await keep('kept')
  const crashed = digestOf(Buffer.from('crashed'))
  await stage(crashed, 2 * mebibyte)
  clock.advance(hourMs)
  const partials = new PartialFills({ driver, blobs: createBlobStore({ driver }), clock })

  t.same(await partials.tidy(), { abandoned: 1, removed: 0 })

  t.same(await sizesOf(partials, [kept, crashed]), [mebibyte, 2 * mebibyte])
  t.equal(partials.sizeBytes(), 3 * mebibyte)
})

t.test('PartialFills.take() and remove() leave nothing to be found', async t => {
  const { keep, partials } = await start(t)
  const [taken, removed] = [await keep('a'), await keep('b')]

  const writer = await partials.take(taken)
  await partials.remove(removed)

  t.equal(writer?.bytesWritten, mebibyte)
  t.same(await sizesOf(partials, [taken, removed]), [undefined, undefined])
  t.equal(partials.sizeBytes(), 0)
  t.equal(await partials.take(removed), undefined)
  await writer?.cancel()
  await writer?.release()
})
