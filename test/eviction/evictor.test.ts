// That mirrored content stays within its disk, whatever happens at once, and that what must stay does.
import t from 'tap'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import { parseTag } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { layout } from '../../lib/storage/layout.ts'
import { faultyDriver } from '../support/faulty-driver.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { mirrorBlob, openMirrorWorld, type MirrorWorld } from '../support/mirrored-images.ts'
import { filesIn, hold, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'
import { until } from '../support/until.ts'

const app = parseRepositoryName('library/app')
const content = (text: string, size = 100) => Buffer.alloc(size, text)
const digestFor = (text: string, size = 100) => digestOf(content(text, size))
const limits = (maxBytes: number, highBytes = maxBytes, lowBytes = highBytes) => ({
  maxBytes,
  highBytes,
  lowBytes,
})

/** As a fill does: asks for room, stores, and gives back what it did not need. */
async function fill({ evictor, stores }: MirrorWorld, text: string, size = 100): Promise<boolean> {
  const bytes = content(text, size)
  const digest = digestOf(bytes)
  try {
    if (!(await evictor.makeRoom(size, { digest }))) return false
    await mirrorBlob(stores, app, bytes)
    return true
  } finally {
    evictor.release(digest)
  }
}

const held = ({ stores }: MirrorWorld) =>
  ['a', 'b', 'c', 'd', 'e'].filter(text => stores.mirroredContent.get(digestFor(text)) !== undefined).join('')

t.test('Evictor.makeRoom() has none for what is larger than all of it, and removes nothing', async t => {
  const world = await openMirrorWorld(t, await openTestDriver(t, 'inmemory'), {
    clock: new ManualClock(),
    limits: limits(250),
    pinned: [],
  })
  await fill(world, 'a')

  t.equal(await world.evictor.makeRoom(251), false)
  t.equal(held(world), 'a')
})

t.test('Evictor.makeRoom() removes nothing where all that may go would not be enough', async t => {
  const filling = new Set<Digest>([digestFor('a')])
  const world = await openMirrorWorld(t, await openTestDriver(t, 'inmemory'), {
    clock: new ManualClock(),
    limits: limits(250),
    isFilling: digest => filling.has(digest),
  })
  for (const text of ['a', 'b']) await fill(world, text)

  t.equal(await fill(world, 'c', 200), false)
  t.equal(held(world), 'ab')
})

t.test('Evictor.makeRoom() has none, and does not fail, where pins cannot be read', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const world = await openMirrorWorld(t, driver, { clock: new ManualClock(), limits: limits(150) })
  await fill(world, 'a')
  await driver.writeAll(layout.pins, Buffer.from('broken'))

  t.equal(await fill(world, 'b'), false)
  t.equal(held(world), 'a')
})

t.test('Evictor.makeRoom() has none while nobody knows what there is', async t => {
  const faulty = faultyDriver(await openTestDriver(t, 'inmemory'))
  const before = await openMirrorWorld(t, faulty.driver, { clock: new ManualClock(), limits: limits(150) })
  await fill(before, 'a')
  faulty.fail('readAll', new Error('no route to store'), { path: /_content/, times: 2 })
  const world = await openMirrorWorld(t, faulty.driver, { clock: new ManualClock(), limits: limits(150) })

  t.equal(await fill(world, 'b'), false)
  t.equal(await fill(world, 'b'), true)
  t.equal(world.stores.mirroredContent.usedBytes, 100)
})

t.test('Evictor goes on where one piece cannot be removed', async t => {
  const faulty = faultyDriver(await openTestDriver(t, 'inmemory'))
  const clock = new ManualClock()
  const world = await openMirrorWorld(t, faulty.driver, { clock, limits: limits(250) })
  for (const text of ['a', 'b']) {
    await fill(world, text)
    clock.advance(1)
  }
  faulty.fail('remove', new Error('not now'), { path: /blobs/ })

  t.equal(await fill(world, 'c'), true)
  t.equal(held(world), 'ac')
})

t.test('Evictor.makeRoom() rejects when its caller leaves, and the next one is served', async t => {
  const faulty = faultyDriver(await openTestDriver(t, 'inmemory'))
  const world = await openMirrorWorld(t, faulty.driver, { clock: new ManualClock(), limits: limits(100) })
  await fill(world, 'a')
  const leaving = new AbortController()
  const removing = faulty.pause('remove', { path: /blobs/ })
  const left = world.evictor.makeRoom(100, { digest: digestFor('b'), signal: leaving.signal })
  const next = world.evictor.makeRoom(100, { digest: digestFor('c') })
  await removing.reached

  leaving.abort(new Error('gone'))
  removing.resume()

  await t.rejects(left, { message: 'gone' })
  t.equal(await next, true)
  t.equal(world.evictor.counts.reservedBytes, 100)
  await t.rejects(world.evictor.makeRoom(1, { signal: AbortSignal.abort(new Error('gone')) }), {
    message: 'gone',
  })
})

onEachDriver(
  t,
  'Evictor never lets content pass its limit, also when many fills end at once',
  async (t, driver) => {
    const clock = new ManualClock()
    const world = await openMirrorWorld(t, driver, { clock, limits: limits(1000) })
    let most = 0
    world.stores.mirroredContent.watch({
      added: () => void (most = Math.max(most, world.stores.mirroredContent.usedBytes)),
      removed() {},
    })

    const kept = await Promise.all(
      Array.from({ length: 40 }, async (_, at) => {
        clock.advance(1)
        return fill(world, `content ${at}`, 90 + at)
      }),
    )

    t.ok(most <= 1000, `${most} bytes`)
    t.ok(most > 800)
    t.ok(kept.filter(Boolean).length > 9)
    t.equal(world.evictor.counts.reservedBytes, 0)
    const onDisk = (await filesIn(driver)).filter(path => path.startsWith('/blobs/'))
    t.equal(onDisk.length, world.stores.mirroredContent.count)
  },
)

t.test('Evictor counts promised room until the content is there or it is given back', async t => {
  const world = await openMirrorWorld(t, await openTestDriver(t, 'inmemory'), {
    clock: new ManualClock(),
    limits: limits(250),
  })
  const [a, b, c] = ['a', 'b', 'c'].map(text => digestFor(text))

  t.equal(await world.evictor.makeRoom(100, { digest: a }), true)
  t.equal(await world.evictor.makeRoom(100, { digest: b }), true)
  t.equal(await world.evictor.makeRoom(100, { digest: c }), false, 'nothing that is there could go')
  world.evictor.release(b ?? digestFor(''))
  t.equal(await world.evictor.makeRoom(100, { digest: c }), true)
  await mirrorBlob(world.stores, app, content('a'))

  t.equal(world.evictor.counts.reservedBytes, 100)
  t.equal(world.stores.mirroredContent.usedBytes, 100)
})

t.test('Evictor without a limit has room for all, and remembers uses', async t => {
  const world = await openMirrorWorld(t, await openTestDriver(t, 'inmemory'), { clock: new ManualClock() })
  await fill(world, 'a')

  world.evictor.used(digestFor('a'))
  world.evictor.used(digestFor('pushed'))

  t.equal(await world.evictor.makeRoom(Number.MAX_SAFE_INTEGER), true)
  t.ok(world.recency.lastUse(digestFor('a')))
  t.equal(world.recency.lastUse(digestFor('pushed')), undefined)
})

onEachDriver(
  t,
  'Evictor removes from the high watermark to the low one, the oldest first',
  async (t, driver) => {
    const clock = new ManualClock()
    const world = await openMirrorWorld(t, driver, { clock, limits: limits(500, 400, 200) })
    for (const text of ['a', 'b', 'c', 'd']) {
      await fill(world, text)
      clock.advance(1000)
    }
    world.evictor.used(digestFor('a'))
    await world.evictor.settled()
    t.equal(held(world), 'abcd', 'not before it is passed')

    clock.advance(1000)
    await fill(world, 'e')
    await world.evictor.settled()

    t.equal(held(world), 'ae')
    t.match(world.evictor.counts, { evictedBytes: 300, evictedCount: 3 })
    t.match(world.events.at(-1), { kind: 'evicted', entry: { kind: 'blob' }, bytes: 100 })
    t.ok(world.events.some(event => event.kind === 'used' && event.bytes === 400))
  },
)

onEachDriver(t, 'Evictor removes whole images, with their links and mirrored tags', async (t, driver) => {
  const clock = new ManualClock()
  const world = await openMirrorWorld(t, driver, { clock, limits: limits(16_000) })
  const old = await world.image(app, 'old', [content('x', 5000), content('y', 5000)])
  clock.advance(1000)
  const young = await world.image(app, 'young', [content('y', 5000), content('z', 5000)])
  const { blobs, manifests, mirroredContent, tags } = world.stores

  t.equal(await world.evictor.makeRoom(16_000 - young.size), true)

  t.equal(mirroredContent.get(old.manifest), undefined)
  t.same(await tags.list(app), ['young'])
  t.ok(await world.mirroredTags.stored(app, parseTag('old')), 'its record stays')
  t.equal(await manifests.get(app, old.manifest), undefined)
  t.equal(mirroredContent.get(old.layers[0] ?? old.manifest), undefined)
  for (const digest of young.layers) t.equal((await blobs.stat(digest)).size, 5000)
  const files = await filesIn(driver)
  t.notOk(files.some(path => path.includes(old.manifest.slice(7))))
  t.equal(mirroredContent.usedBytes, young.size)
})

onEachDriver(t, 'Evictor leaves what is pinned, being fetched, being read, or pushed', async (t, driver) => {
  const clock = new ManualClock()
  const world = await openMirrorWorld(t, driver, {
    clock,
    limits: limits(700),
    pinned: ['library/app:pinned'],
    isFilling: digest => digest === digestFor('b'),
  })
  const { size } = await world.image(app, 'pinned', [content('a')])
  for (const text of ['b', 'c', 'd']) await fill(world, text)
  await world.stores.blobs.put(content('d'), digestFor('d'))
  const stream = await world.stores.blobs.read(digestFor('c'))

  await fill(world, 'e')
  const hasRoom = await world.evictor.makeRoom(700 - size - 200)
  stream.destroy()

  t.equal(hasRoom, true)
  t.equal(held(world), 'abc')
  t.equal((await world.stores.blobs.stat(digestFor('d'))).size, 100)
  t.equal(await world.evictor.makeRoom(500), false)
})

t.test('Evictor leaves what is used, read or pinned while it is at work', async t => {
  for (const rescue of ['use', 'read', 'pin'] as const) {
    const inner = await openTestDriver(t, 'inmemory')
    const clock = new ManualClock()
    const reached = hold()
    const goOn = hold()
    const driver = hooked(inner, async ({ action, path, when }) => {
      if (action !== 'remove' || when !== 'before' || path !== layout.blobDirectory(digestFor('a'))) return
      reached.release()
      await goOn.released
    })
    const world = await openMirrorWorld(t, driver, { clock, limits: limits(400) })
    await fill(world, 'a')
    clock.advance(1)
    const image = await world.image(app, 'b', [content('b')])
    clock.advance(1)
    const room = world.evictor.makeRoom(400 - image.size + 1)
    await reached.released
    clock.advance(1)

    if (rescue === 'use') world.evictor.used(image.manifest)
    if (rescue === 'pin') await world.pins.pin('library/app:b')
    const stream = rescue === 'read' ? await world.stores.blobs.read(digestFor('b')) : undefined
    goOn.release()
    await room
    stream?.destroy()

    t.equal(held(world), 'b', rescue)
  }
})

t.test('Evictor removes what was unused for too long, in the background, also without a limit', async t => {
  const clock = new ManualClock()
  const dayMs = 24 * 60 * 60 * 1000
  const driver = await openTestDriver(t, 'inmemory', { clock })
  const world = await openMirrorWorld(t, driver, { clock, maxIdleMs: 7 * dayMs })
  for (const text of ['a', 'b']) await fill(world, text)
  world.evictor.start()
  await clock.slept()

  clock.advance(4 * dayMs)
  world.evictor.used(digestFor('b'))
  await clock.slept()
  await world.evictor.settled()
  t.equal(held(world), 'ab')
  clock.advance(4 * dayMs)
  await until(() => held(world) === 'b')
  await clock.slept()
  await world.evictor.close()

  t.equal(clock.sleeping, 0)
})

onEachDriver(t, 'Evictor remembers uses over a restart, and forgets what has gone', async (t, driver) => {
  const clock = new ManualClock()
  const before = await openMirrorWorld(t, driver, { clock, limits: limits(1000) })
  for (const text of ['a', 'b', 'c']) {
    await fill(before, text)
    clock.advance(1000)
  }
  for (const text of ['b', 'c', 'a']) {
    before.evictor.used(digestFor(text))
    clock.advance(1000)
  }
  before.recency.used(digestFor('gone'))
  await before.evictor.close()
  clock.advance(60 * 60 * 1000)

  const after = await openMirrorWorld(t, driver, { clock, limits: limits(300) })
  after.evictor.start()
  await clock.slept()
  await fill(after, 'd')

  t.equal(held(after), 'acd')
  t.equal(after.recency.lastUse(digestFor('gone')), undefined)
  t.equal(after.recency.lastUse(digestFor('b')), undefined)
})

t.test('Evictor.close() lets nobody wait, and ends what it does', async t => {
  const faulty = faultyDriver(await openTestDriver(t, 'inmemory'))
  const world = await openMirrorWorld(t, faulty.driver, { clock: new ManualClock(), limits: limits(100) })
  await fill(world, 'a')
  const removing = faulty.pause('remove', { path: /blobs/ })
  const waiting = [world.evictor.makeRoom(100), world.evictor.makeRoom(100)]
  await removing.reached

  const closed = world.evictor.close()
  removing.resume()
  await closed

  t.same(await Promise.all(waiting), [true, true], 'there was room after all')
  await fill(world, 'a')
  t.equal(await world.evictor.makeRoom(100), false)
})
