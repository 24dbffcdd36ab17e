import t from 'tap'
import { ByteRate } from '../../lib/upstream/byte-rate.ts'
import { ManualClock } from '../support/manual-clock.ts'

t.test('ByteRate rejects a rate that would let nothing through', async t => {
  for (const rate of [0, -1, NaN])
    t.throws(() => new ByteRate(rate, new ManualClock()), { name: 'RangeError' })
})

t.test('ByteRate.take() rejects with the reason of the signal, and counts the bytes', async t => {
  const clock = new ManualClock()
  const rate = new ByteRate(1000, clock)
  const leaving = new AbortController()
  const reason = new Error('client has gone')
  const taking = rate.take(1100, { signal: leaving.signal })

  leaving.abort(reason)

  await t.rejects(taking, reason)
  t.equal(clock.sleeping, 0)
  const next = rate.take(500)
  clock.advance(1499)
  t.equal(clock.sleeping, 1)
  clock.advance(1)
  await next
})

t.test('ByteRate.take() waits until the bytes are within the rate, a burst of 100 ms aside', async t => {
  const clock = new ManualClock()
  const rate = new ByteRate(1000, clock)

  await rate.take(100)
  t.equal(clock.sleeping, 0)

  const slow = rate.take(2000)
  clock.advance(1999)
  t.equal(clock.sleeping, 1)
  clock.advance(1)
  await slow

  clock.advance(60_000)
  await rate.take(100)
  void rate.take(1)
  t.equal(clock.sleeping, 1, 'a pause saves up no more than the burst')
})

t.test('ByteRate.take() serves readers piece by piece in the order of their coming', async t => {
  const clock = new ManualClock()
  const rate = new ByteRate(1000, clock)
  const taken: string[] = []
  const read = async (label: string, pieces: number) => {
    for (let i = 0; i < pieces; i++) {
      await rate.take(100)
      taken.push(label)
    }
  }
  const reading = [read('a', 8), read('b', 2), read('c', 2)]

  for (let i = 0; i < 20; i++) {
    await new Promise(resolve => setImmediate(resolve))
    clock.advance(100)
  }
  await Promise.all(reading)

  t.same(taken.slice(0, 6).toSorted(), ['a', 'a', 'b', 'b', 'c', 'c'])
  t.equal(taken.length, 12)
})

t.test('ByteRate.take() stops nobody for longer because the clock was set back', async t => {
  const clock = new ManualClock()
  const rate = new ByteRate(1000, clock)
  await rate.take(100)
  clock.advance(-3_600_000)

  const taking = rate.take(500)
  clock.advance(500)
  await taking

  t.equal(clock.sleeping, 0)
})
