// A blob that there is no room for is delivered like any other, and leaves nothing.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { abortable } from '../../lib/keyed-lock.ts'
import type { CallOptions } from '../../lib/oci/descriptor.ts'
import type { Digest } from '../../lib/oci/digest.ts'
import { BlobUnknownError } from '../../lib/oci/errors.ts'
import { openDescriptorsBelow } from '../support/descriptors.ts'
import { startFakeUpstream, type FakeUpstreamOptions } from '../support/fake-upstream.ts'
import { app, lastByteAltered, startFillProcess } from '../support/fill-process.ts'
import { driverKinds, filesIn, hold, openTestDriver } from '../support/stores.ts'
import { upstreamError } from '../support/upstream-client.ts'
import { until } from '../support/until.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(4 * mebibyte)

/** A process that has no room unless told otherwise. */
async function startFull(
  t: Test,
  options: FakeUpstreamOptions & { readonly kind?: 'inmemory' | 'filesystem' } = {},
) {
  const { kind = 'filesystem', ...behaviour } = options
  const upstream = await startFakeUpstream(t, behaviour)
  const digest = upstream.addBlob(app, bytes)
  const root = t.testdir({})
  const driver = await openTestDriver(t, kind, { root })
  const asked: number[] = []
  const released: Digest[] = []
  const room: { answer: (sizeBytes: number) => boolean | Promise<boolean> } = { answer: () => false }
  const keeping = {
    async makeRoom(sizeBytes: number, { signal }: CallOptions = {}) {
      asked.push(sizeBytes)
      return await abortable(Promise.resolve(room.answer(sizeBytes)), signal)
    },
    release: (one: Digest) => void released.push(one),
  }
  const process = await startFillProcess(t, { upstream, driver, keeping })
  return { ...process, upstream, digest, root, asked, released, room }
}

t.test('Fill gives out no last byte of a wrong body because it is not kept anyway', async t => {
  const { digest, driver, pull, asked } = await startFull(t, { alter: lastByteAltered })

  await t.rejects(pull(digest), upstreamError('invalid'))

  t.same(asked, [], 'no room is made for it')
  t.same(await filesIn(driver), [])
})

for (const kind of driverKinds) {
  t.test(
    `Fill passes on what there is no room for: to all who read, and not into the store (${kind})`,
    async t => {
      const { digest, driver, events, join, root, stores, upstream, asked, released } = await startFull(t, {
        kind,
      })
      upstream.hold(mebibyte)
      const fill = await join(digest)
      const [fast, slow] = [await fill.read(), await fill.read({ start: 10, end: bytes.length })]
      if (fast === undefined || slow === undefined) throw new Error('expected streams')
      await once(slow, 'readable')
      upstream.release()

      t.ok((await buffer(fast)).equals(bytes))
      t.same(await fill.settled, {
        kind: 'passed',
        descriptor: { mediaType: 'application/octet-stream', digest, size: bytes.length },
      })

      t.same(await filesIn(driver), [], 'neither content nor link nor anything staged')
      await t.rejects(stores.blobs.stat(digest), BlobUnknownError)
      t.ok((await buffer(slow)).equals(bytes.subarray(10)), 'who still reads gets the rest')
      t.same(asked, [bytes.length])
      t.same(released, [digest])
      t.match(events.at(-1), { kind: 'fill-settled', outcome: 'passed' })
      await until(() => openDescriptorsBelow(root) === 0)
      t.equal(await fill.read(), undefined, 'nothing of it is left')
    },
  )
}

t.test('Fill that was passed on can be joined by readers while one is left', async t => {
  const { digest, join, root } = await startFull(t)
  const fill = await join(digest)
  const slow = await fill.read()
  if (slow === undefined) throw new Error('expected a stream')
  await once(slow, 'readable')
  await fill.settled

  const late = await fill.openReader()
  const into = Buffer.alloc(1000)
  slow.destroy()
  await once(slow, 'close')

  t.equal(await late?.readInto(into, bytes.length - 1000), 1000)
  t.ok(into.equals(bytes.subarray(-1000)))
  await late?.close()
  await until(() => openDescriptorsBelow(root) === 0)
  t.equal(await fill.openReader(), undefined)
})

t.test(
  'Fill that was passed on is not remembered: the next request fetches anew, and keeps it if there is room',
  async t => {
    const { digest, pull, room, stores, upstream } = await startFull(t)
    t.ok((await pull(digest)).equals(bytes))
    room.answer = () => true

    t.ok((await pull(digest)).equals(bytes))

    t.equal(upstream.count(/^GET .*\/blobs\//), 2)
    t.match(await stores.blobs.stat(digest), { size: bytes.length })
    t.same(stores.mirroredContent.get(digest)?.repositories, [app])
  },
)

t.test('Fill keeps what a push needs whether there is room or not, and not as the mirror’s', async t => {
  const { asked, digest, join, stores, upstream } = await startFull(t)
  upstream.hold(mebibyte)
  const fill = await join(digest)
  await join(digest, { pushed: true })
  upstream.release()

  t.match(await fill.settled, { kind: 'stored' })
  t.same(asked, [])
  t.equal(stores.mirroredContent.get(digest), undefined)
})

t.test('Fill keeps what a push has begun to need while room was looked for', async t => {
  const { digest, join, room, stores } = await startFull(t)
  const [looking, looked] = [hold(), hold()]
  room.answer = async () => {
    looking.release()
    await looked.released
    return false
  }
  const fill = await join(digest)
  await looking.released

  await join(digest, { pushed: true })
  looked.release()

  t.match(await fill.settled, { kind: 'stored' })
  t.match(await stores.blobs.stat(digest), { size: bytes.length })
  t.equal(stores.mirroredContent.get(digest), undefined)
})

t.test('Fill gives its readers everything while room is still being made', async t => {
  const { digest, join, room } = await startFull(t)
  const looked = hold()
  room.answer = async () => {
    await looked.released
    return true
  }
  const fill = await join(digest)
  const stream = await fill.read()
  if (stream === undefined) throw new Error('expected a stream')

  t.ok((await buffer(stream)).equals(bytes))
  looked.release()
  t.match(await fill.settled, { kind: 'stored' })
})

t.test('Fill that is stopped while room is being made is kept for the next', async t => {
  const { digest, fills, join, partials, room } = await startFull(t)
  const looking = hold()
  room.answer = () => {
    looking.release()
    return new Promise<boolean>(() => {})
  }
  const fill = await join(digest)
  await looking.released

  room.answer = () => true
  void fills.drain(0)

  t.match(await fill.settled, { kind: 'failed' })
  t.equal(await partials.find(digest), bytes.length)
})
