// Sources that dawdle, rush, fail, vanish, or have done so before anybody looked.
import { getEventListeners, once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { batches, sizeOf, type Batch } from '../../lib/streams/batches.ts'

function source(highWaterMark = 64 * 1024): Readable {
  return new Readable({ highWaterMark, read() {} })
}

async function collect(from: AsyncIterable<Batch>): Promise<string[]> {
  const all: string[] = []
  for await (const batch of from) all.push(text(batch))
  return all
}

function text(batch: Batch): string {
  return Buffer.concat(batch).toString()
}

function listenersOf(stream: Readable): number {
  return ['data', 'end', 'error', 'close'].reduce((sum, event) => sum + stream.listenerCount(event), 0)
}

t.test('batches() hands out what came before an error, then throws the error', async t => {
  const stream = source()
  const seen: string[] = []
  const reading = (async () => {
    for await (const batch of batches(stream)) seen.push(text(batch))
  })()
  stream.push('one')
  await turn()
  stream.push('two')
  stream.destroy(new Error('broken'))

  await t.rejects(reading, { message: 'broken' })

  t.same(seen, ['one', 'two'])
})

t.test('batches() hands out what came before a premature close, then throws', async t => {
  const stream = source()
  const seen: string[] = []
  stream.push('one')
  const reading = (async () => {
    for await (const batch of batches(stream)) seen.push(text(batch))
  })()
  await turn()
  stream.destroy()

  await t.rejects(reading, { code: 'ERR_STREAM_PREMATURE_CLOSE' })

  t.same(seen, ['one'])
})

t.test('batches() throws of a source that was destroyed before', async t => {
  const closed = source().destroy()
  const failed = source()
  failed.on('error', () => {})
  failed.destroy(new Error('broken'))
  await turn()

  await t.rejects(collect(batches(closed)), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
  await t.rejects(collect(batches(failed)), { message: 'broken' })
})

t.test('batches() yields nothing of a source that has ended before', async t => {
  const stream = Readable.from([Buffer.from('x')], { objectMode: false })
  stream.resume()
  await once(stream, 'end')

  t.same(await collect(batches(stream)), [])
})

t.test('batches() ends with an empty source', async t => {
  const stream = source()
  stream.push(null)

  t.same(await collect(batches(stream)), [])
})

t.test(
  'batches() throws the reason when it is aborted while it waits, and leaves the source alone',
  async t => {
    const stream = source()
    const leaving = new AbortController()
    const reading = collect(batches(stream, { signal: leaving.signal }))
    await turn()

    leaving.abort(new Error('gone'))

    await t.rejects(reading, { message: 'gone' })
    t.notOk(stream.destroyed)
    t.same(getEventListeners(leaving.signal, 'abort'), [])
  },
)

t.test(
  'batches() throws the reason although there is more, when it was aborted between two batches',
  async t => {
    const stream = source()
    const leaving = new AbortController()
    const reading = batches(stream, { signal: leaving.signal })
    stream.push('one')
    t.same(await reading.next(), { value: [Buffer.from('one')], done: false })
    stream.push('two')

    leaving.abort(new Error('gone'))

    await t.rejects(reading.next(), { message: 'gone' })
  },
)

t.test('batches() survives an error of a source that its consumer has left', async t => {
  const stream = source()
  stream.push('one')
  for await (const batch of batches(stream)) {
    t.equal(text(batch), 'one')
    break
  }

  stream.destroy(new Error('later'))
  await turn()

  t.ok(stream.destroyed, 'and the process is still here')
})

t.test('batches() leaves no listener on a source that ended', async t => {
  const stream = source()
  const before = listenersOf(stream)
  stream.push('one')
  stream.push(null)
  const { signal } = new AbortController()

  t.same(await collect(batches(stream, { signal })), ['one'])

  t.equal(listenersOf(stream), before)
  t.same(getEventListeners(signal, 'abort'), [])
})

t.test('batches() can be gone on with after its consumer left', async t => {
  const stream = source()
  stream.push('one')
  for await (const _ of batches(stream)) break
  stream.push('two')
  stream.push(null)

  t.same(await collect(batches(stream)), ['two'])
})

t.test("batches() hands out a slow source's bytes as they come", async t => {
  const stream = source()
  const reading = batches(stream)

  for (const piece of ['a', 'b', 'c']) {
    const next = reading.next()
    await turn()
    stream.push(piece)
    t.same(await next, { value: [Buffer.from(piece)], done: false })
  }
  stream.push(null)

  t.same(await reading.next(), { value: undefined, done: true })
})

t.test('batches() hands out a fast source many pieces at once, uncopied, within its bound', async t => {
  const pieceBytes = 16 * 1024
  const totalBytes = 8 * 1024 * 1024
  const pieces = Array.from({ length: totalBytes / pieceBytes }, () => Buffer.alloc(pieceBytes))
  const stream = Readable.from(pieces, { objectMode: false, highWaterMark: pieceBytes })
  const received: Buffer[] = []
  const sizes: number[] = []

  for await (const batch of batches(stream)) {
    received.push(...batch)
    sizes.push(sizeOf(batch))
    for (let turns = 0; turns < 100; turns++) await turn()
  }

  t.ok(received.length === pieces.length && received.every((piece, index) => piece === pieces[index]))
  t.ok(Math.max(...sizes) <= 256 * 1024, `at most ${Math.max(...sizes)}`)
  t.ok(sizes.length <= 2 + totalBytes / (256 * 1024), `${sizes.length} batches`)
})

t.test('batches() bounds the number of pieces, too', async t => {
  const stream = Readable.from(
    Array.from({ length: 2000 }, () => Buffer.from('x')),
    { objectMode: false },
  )
  let most = 0

  for await (const batch of batches(stream)) {
    most = Math.max(most, batch.length)
    for (let turns = 0; turns < 1000; turns++) await turn()
  }

  t.ok(most <= 256, `${most} pieces`)
})

t.test('batches() holds back a sender over a socket while its consumer is busy', async t => {
  const server = createServer(socket => void socket.end(Buffer.alloc(64 * 1024 * 1024)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let received = 0
  let most = 0

  for await (const batch of batches(socket)) {
    received += sizeOf(batch)
    for (let turns = 0; turns < 3; turns++) await turn()
    most = Math.max(most, socket.readableLength)
  }

  t.equal(received, 64 * 1024 * 1024)
  t.ok(most <= socket.readableHighWaterMark + 64 * 1024, `${most} bytes lay in the socket`)
})
