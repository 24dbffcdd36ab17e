// Content that moves through two buffers: nothing may be overwritten before it is written, or reused after a failure.
import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { BufferPool, pump, type ContentReader } from '../../lib/streams/content-reader.ts'

const bytes = randomBytes(10_000)

function readerOf(content: Buffer, most = Infinity): ContentReader {
  return {
    size: content.length,
    async readInto(into, position) {
      await turn()
      return content.copy(into, 0, position, Math.min(position + most, content.length))
    },
    async close() {},
  }
}

/** Looks at a piece only when it says that it is done with it, as a socket does. */
function slowSink(): { readonly sink: Writable; received(): Buffer } {
  const pieces: Buffer[] = []
  const sink = new Writable({
    highWaterMark: 1,
    write(piece: Buffer, _encoding, done) {
      setImmediate(() => {
        pieces.push(Buffer.from(piece))
        done()
      })
    },
  })
  return { sink, received: () => Buffer.concat(pieces) }
}

const newPool = () => new BufferPool({ bufferBytes: 1000, maxFree: 4 })

t.test('pump() rejects when the content ends before the range does', async t => {
  const { sink } = slowSink()

  await t.rejects(
    pump(readerOf(bytes), { start: 0, end: 10_001 }, sink, { pool: newPool() }),
    /ends at 10000/,
  )
})

t.test('pump() rejects when the sink fails, and keeps its buffers out of the pool', async t => {
  const pool = newPool()
  const sink = new Writable({ write: (_piece, _encoding, done) => done(new Error('full')) })
  sink.on('error', () => {})

  await t.rejects(pump(readerOf(bytes), { start: 0, end: 10_000 }, sink, { pool }), { message: 'full' })

  const fresh = pool.take()
  t.not(fresh, pool.take())
})

t.test('pump() rejects with the reason when it is aborted while the sink takes nothing', async t => {
  const leaving = new AbortController()
  const sink = new Writable({ write() {} })
  const pumping = pump(readerOf(bytes), { start: 0, end: 10_000 }, sink, {
    pool: newPool(),
    signal: leaving.signal,
  })
  await turn()

  leaving.abort(new Error('gone'))

  await t.rejects(pumping, { message: 'gone' })
})

t.test('pump() moves whole content, ranges, and what comes in short reads', async t => {
  const pool = newPool()
  for (const [start, end] of [
    [0, 10_000],
    [0, 1],
    [999, 1001],
    [5, 9_999],
    [3, 3],
  ] as const) {
    for (const most of [Infinity, 300]) {
      const { sink, received } = slowSink()

      await pump(readerOf(bytes, most), { start, end }, sink, { pool })

      t.ok(received().equals(bytes.subarray(start, end)), `${start}-${end}, ${most} at a time`)
      t.equal(sink.writableEnded, false)
    }
  }
})

t.test('BufferPool hands out again what was given back, and keeps no more than it may', t => {
  const pool = new BufferPool({ bufferBytes: 10, maxFree: 1 })
  const [one, two] = [pool.take(), pool.take()]
  pool.giveBack(one)
  pool.giveBack(two)

  t.equal(pool.take(), one)
  t.not(pool.take(), two)
  t.end()
})
