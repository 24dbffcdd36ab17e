// The fill contract of design note 001, line by line, over real sockets and a real file system.
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { Digest } from '../../lib/oci/digest.ts'
import { BlobUnknownError } from '../../lib/oci/errors.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import {
  app,
  content,
  filesBelow,
  mebibyte,
  openBytes,
  openDescriptorsBelow,
  pull,
  startMirror,
  until,
  type Mirror,
} from '../support/mirror.ts'

const blobGets = /^GET .*\/blobs\//

function leavesNothing(t: Test, mirror: Mirror, digest: Digest): void {
  t.equal(mirror.fills.find(digest), undefined)
  t.same(filesBelow(mirror.root), [], 'no file stays')
  t.equal(openDescriptorsBelow(mirror.root), 0, 'no descriptor stays open')
}

t.test('Fill fails, its reader ends short and nothing stays, when a byte is wrong', async t => {
  const alter = (bytes: Buffer) =>
    Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])])
  const mirror = await startMirror(t, { alter })
  const digest = mirror.upstream.addBlob(app, content(3 * mebibyte))

  const body = await openBytes(mirror, digest)
  const stream = await body.read()
  let received = 0
  stream.on('data', (chunk: Buffer) => (received += chunk.length))

  await t.rejects(
    new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject)),
    UpstreamError,
  )
  t.ok(received < 3 * mebibyte, 'the last byte was withheld')
  await until(() => openDescriptorsBelow(mirror.root) === 0)
  leavesNothing(t, mirror, digest)
})

t.test('Fill fails when the upstream sends more or less than it announced', async t => {
  for (const [what, alter] of [
    ['longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')])],
    ['shorter', (bytes: Buffer) => bytes.subarray(0, -1)],
  ] as const) {
    await t.test(what, async t => {
      const mirror = await startMirror(t, { alter })
      const digest = mirror.upstream.addBlob(app, content(mebibyte))

      await t.rejects(pull(mirror, digest))

      await until(() => mirror.fills.find(digest) === undefined && openDescriptorsBelow(mirror.root) === 0)
      leavesNothing(t, mirror, digest)
    })
  }
})

t.test('Fill fails after repeated bodies that bring nothing, and is not remembered', async t => {
  const mirror = await startMirror(t)
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.upstream.behaviour.cutAfterBytes = 100_000
  mirror.upstream.behaviour.cutTimes = 1
  mirror.upstream.hold(50_000)
  const stream = await (await openBytes(mirror, digest)).read()
  mirror.upstream.failNext({ status: 404, match: /^GET/ })
  mirror.upstream.release()

  await t.rejects(buffer(stream), UpstreamError)
  await until(() => mirror.fills.find(digest) === undefined)
  const again = await pull(mirror, digest)

  t.ok(again.equals(bytes))
})

t.test(
  'Fills.join() rejects with the upstream’s answer for all who wait, and asks again the next time',
  async t => {
    const mirror = await startMirror(t)
    const bytes = content(1000)
    const digest = mirror.upstream.addBlob(app, bytes)
    mirror.upstream.failNext({ status: 404 })
    mirror.upstream.hold('headers')
    const waiting = Array.from({ length: 5 }, () => mirror.repository.blobs.open(digest))
    await mirror.upstream.held()
    mirror.upstream.release()

    for (const one of waiting) await t.rejects(one, BlobUnknownError)
    t.equal(mirror.upstream.count(blobGets), 1)
    t.ok((await pull(mirror, digest)).equals(bytes))
  },
)

t.test('(1) 64 concurrent readers share one upstream request and 1.00x its bytes', async t => {
  const mirror = await startMirror(t)
  const bytes = content(8 * mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)

  const received = await Promise.all(Array.from({ length: 64 }, () => pull(mirror, digest)))

  t.ok(received.every(one => one.equals(bytes)))
  t.equal(mirror.upstream.count(blobGets), 1)
  t.equal(mirror.upstream.bytesSent, bytes.length)
  t.same(filesBelow(mirror.root).length, 3, 'content, link and marker, nothing else')
})

t.test('(1) Fills.join() joins late: a reader that comes half-way gets the whole blob', async t => {
  const mirror = await startMirror(t)
  const bytes = content(4 * mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.upstream.hold(2 * mebibyte)
  const early = pull(mirror, digest)
  await mirror.upstream.held()
  await until(() => (mirror.fills.find(digest)?.bytesStored ?? 0) >= mebibyte)

  const late = await (await openBytes(mirror, digest)).read()
  await once(late, 'readable')
  const firstOfLate = late.read() as Buffer
  mirror.upstream.release()

  t.ok(firstOfLate.equals(bytes.subarray(0, firstOfLate.length)), 'it reads before the upstream goes on')
  t.ok((await early).equals(bytes))
  t.ok(Buffer.concat([firstOfLate, await buffer(late)]).equals(bytes))
  t.equal(mirror.upstream.count(blobGets), 1)
})

t.test('(2) a reader that leaves, even the only one, does not stop the fill', async t => {
  const mirror = await startMirror(t)
  const bytes = content(4 * mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.upstream.hold(2 * mebibyte)
  const stream = await (await openBytes(mirror, digest)).read()
  await new Promise(resolve => stream.once('data', resolve))
  stream.destroy()
  const fill = mirror.fills.find(digest)
  mirror.upstream.release()

  t.match(await fill?.settled, { kind: 'stored' })
  t.ok((await pull(mirror, digest)).equals(bytes))
  t.equal(mirror.upstream.count(blobGets), 1)
  await until(() => openDescriptorsBelow(mirror.root) === 0)
})

t.test(
  '(2) a request that is aborted while it waits for the headers leaves the fill to the others',
  async t => {
    const mirror = await startMirror(t)
    const bytes = content(1000)
    const digest = mirror.upstream.addBlob(app, bytes)
    mirror.upstream.hold('headers')
    const leaving = new AbortController()
    const left = mirror.repository.blobs.open(digest, { signal: leaving.signal })
    const staying = pull(mirror, digest)
    await mirror.upstream.held()

    leaving.abort(new Error('gone'))
    await t.rejects(left, { message: 'gone' })
    mirror.upstream.release()

    t.ok((await staying).equals(bytes))
    t.equal(mirror.upstream.count(blobGets), 1)
  },
)

t.test('(3) a reader that does not read holds up neither the fill nor the others', async t => {
  const mirror = await startMirror(t)
  const bytes = content(16 * mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  const slow = await (await openBytes(mirror, digest)).read()
  await once(slow, 'readable')

  const fast = await pull(mirror, digest)

  t.ok(fast.equals(bytes))
  t.ok(slow.readableLength <= mebibyte, 'what it holds is bounded')
  t.ok((await buffer(slow)).equals(bytes), 'it gets all of it when it comes to it')
  await until(() => openDescriptorsBelow(mirror.root) === 0)
})

t.test(
  '(3) Fill.read() serves ranges while the blob is on its way, also ones that are not there yet',
  async t => {
    const mirror = await startMirror(t)
    const bytes = content(4 * mebibyte)
    const digest = mirror.upstream.addBlob(app, bytes)
    mirror.upstream.hold(mebibyte)
    const body = await openBytes(mirror, digest)
    await mirror.upstream.held()

    const here = await buffer(await body.read({ start: 10, end: 5000 }))
    const ahead = body.read({ start: 3 * mebibyte, end: 3 * mebibyte + 77 }).then(buffer)
    const toTheEnd = body.read({ start: 4 * mebibyte - 1, end: 4 * mebibyte }).then(buffer)
    mirror.upstream.release()

    t.ok(here.equals(bytes.subarray(10, 5000)))
    t.ok((await ahead).equals(bytes.subarray(3 * mebibyte, 3 * mebibyte + 77)))
    t.ok((await toTheEnd).equals(bytes.subarray(-1)))
    t.equal(mirror.upstream.count(blobGets), 1)
  },
)

t.test('(4) the blob is not visible, and its last byte not out, before it is verified', async t => {
  const mirror = await startMirror(t)
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.upstream.hold(mebibyte - 1)
  const reading = pull(mirror, digest)
  await mirror.upstream.held()
  await until(() => mirror.fills.find(digest)?.bytesStored === mebibyte - 1)

  await t.rejects(mirror.stores.blobs.stat(digest), BlobUnknownError)
  mirror.upstream.release()

  t.ok((await reading).equals(bytes))
  t.match(await mirror.stores.blobs.stat(digest), { size: mebibyte })
})

t.test('(5) a cut body is resumed with Range at the stored offset, again and again', async t => {
  const mirror = await startMirror(t)
  const bytes = content(4 * mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.upstream.behaviour.cutAfterBytes = mebibyte
  mirror.upstream.behaviour.cutTimes = 3

  const received = await pull(mirror, digest)

  t.ok(received.equals(bytes))
  const ranges = mirror.upstream.requests.filter(one => one.method === 'GET').map(one => one.headers.range)
  t.equal(ranges[0], undefined)
  t.ok(
    ranges.length >= 3 && ranges.slice(1).every(range => /^bytes=[1-9]\d*-$/.test(range ?? '')),
    ranges.join(' '),
  )
  t.ok(mirror.events.some(event => event.kind === 'fill-resumed'))
})

t.test('(5) a resumed body from an upstream that ignores ranges is not appended twice', async t => {
  const mirror = await startMirror(t, { ignoreRange: true })
  const bytes = content(2 * mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.upstream.behaviour.cutAfterBytes = mebibyte
  mirror.upstream.behaviour.cutTimes = 1

  t.ok((await pull(mirror, digest)).equals(bytes))
})

t.test(
  '(7) Fills.drain() waits for fills within its grace, then stops them; none starts any more',
  async t => {
    const mirror = await startMirror(t)
    const digest = mirror.upstream.addBlob(app, content(2 * mebibyte))
    mirror.upstream.hold(mebibyte)
    const reading = pull(mirror, digest)
    reading.catch(() => {})
    await mirror.upstream.held()

    await mirror.fills.drain(0)

    await t.rejects(reading, /shutting down/)
    await t.rejects(mirror.repository.blobs.open(digest), UpstreamError)
    await until(() => openDescriptorsBelow(mirror.root) === 0)
    leavesNothing(t, mirror, digest)
  },
)

t.test('(8) a size that the headers do not tell is asked for with HEAD, or stays unknown', async t => {
  await t.test('asked', async t => {
    const mirror = await startMirror(t)
    const bytes = content(mebibyte)
    const digest = mirror.upstream.addBlob(app, bytes)
    mirror.upstream.behaviour.chunked = true

    const body = await openBytes(mirror, digest)

    t.ok((await buffer(await body.read())).equals(bytes))
  })
  await t.test('unknown, and still verified', async t => {
    const mirror = await startMirror(t, { chunked: true, headRefused: true })
    const bytes = content(mebibyte)
    const digest = mirror.upstream.addBlob(app, bytes)

    const body = await openBytes(mirror, digest)

    t.equal(body.size, undefined)
    t.ok((await buffer(await body.read())).equals(bytes))
    t.ok((await pull(mirror, digest)).equals(bytes))
  })
})

t.test('Fill takes an empty blob', async t => {
  const mirror = await startMirror(t)
  const digest = mirror.upstream.addBlob(app, Buffer.alloc(0))

  t.equal((await pull(mirror, digest)).length, 0)
  t.match(await mirror.repository.blobs.stat(digest), { size: 0 })
})
