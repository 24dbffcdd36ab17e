import t from 'tap'
import { Renewed, perishable, type Perishable } from '../../../lib/upstream/credentials/renewed.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { until } from '../../support/until.ts'

/** Values 1, 2, …, each good for 100 s, or failures where `fails` says so. */
function counting(options: { readonly isFinal?: boolean; readonly dropAfterMs?: number } = {}) {
  const clock = new ManualClock()
  const state = { fetched: 0, fails: false, late: [] as unknown[] }
  const renewed = new Renewed<number>({
    fetch: async (): Promise<Perishable<number>> => {
      state.fetched++
      if (state.fails) throw new Error(`failure ${state.fetched}`)
      return perishable(state.fetched, clock.now(), 100_000)
    },
    clock,
    isFinal: () => options.isFinal ?? false,
    onLate: err => state.late.push(err),
    ...(options.dropAfterMs === undefined ? {} : { dropAfterMs: options.dropAfterMs }),
  })
  return { clock, state, renewed }
}

t.test('Renewed.get() remembers no failure that may pass', async t => {
  const { state, renewed } = counting()
  state.fails = true

  await t.rejects(renewed.get(), { message: 'failure 1' })
  await t.rejects(renewed.get(), { message: 'failure 2' })
  state.fails = false

  t.equal((await renewed.get()).value, 3)
})

t.test('Renewed.get() gives a final failure again for 5 s only', async t => {
  const { clock, state, renewed } = counting({ isFinal: true })
  state.fails = true

  await t.rejects(renewed.get(), { message: 'failure 1' })
  clock.advance(4_999)
  await t.rejects(renewed.get(), { message: 'failure 1' })
  state.fails = false
  clock.advance(1)

  t.equal((await renewed.get()).value, 2)
})

t.test('Renewed.get() lets one leave while others wait for the same fetch', async t => {
  const { renewed, state } = counting()
  const controller = new AbortController()

  const leaving = renewed.get({ signal: controller.signal })
  const staying = renewed.get()
  controller.abort(new Error('client has gone'))

  await t.rejects(leaving, { message: 'client has gone' })
  t.equal((await staying).value, 1)
  t.equal(state.fetched, 1)
})

t.test('Renewed.peek() renews once in the last tenth and gives the old value meanwhile', async t => {
  const { clock, state, renewed } = counting()
  await renewed.get()

  clock.advance(89_999)
  t.equal(renewed.peek()?.value, 1)
  t.equal(state.fetched, 1, 'not yet')
  clock.advance(1)
  for (const _ of [1, 2, 3]) t.equal(renewed.peek()?.value, 1)
  await until(() => renewed.peek()?.value === 2)

  t.equal(state.fetched, 2)
})

t.test('Renewed.peek() goes on with a good value that cannot be renewed, trying every 5 s', async t => {
  const { clock, state, renewed } = counting({ isFinal: true })
  await renewed.get()
  state.fails = true
  clock.advance(90_000)

  renewed.peek()
  await until(() => state.late.length === 1)
  t.equal((await renewed.get()).value, 1)
  t.equal(state.fetched, 2, 'not at once')
  clock.advance(4_999)
  renewed.peek()
  t.equal(state.fetched, 2, 'the value lasts to its last twentieth')
  clock.advance(1)

  t.equal(renewed.peek(), undefined)
  await t.rejects(renewed.get(), { message: 'failure 3' })
  t.equal(state.late.length, 1, 'the caller is told instead')
})

t.test('Renewed.drop() lets go of the refused value and of no other', async t => {
  const { state, renewed } = counting()
  await renewed.get()

  renewed.drop(value => value === 7)
  t.equal(renewed.peek()?.value, 1)
  renewed.drop(value => value === 1)

  t.equal(renewed.peek(), undefined)
  t.equal((await renewed.get()).value, 2)
  t.equal(state.fetched, 2)
})

t.test('Renewed.drop() keeps a value that is too young to be dropped', async t => {
  const { clock, renewed, state } = counting({ dropAfterMs: 5_000 })
  await renewed.get()

  clock.advance(4_999)
  renewed.drop(() => true)
  t.equal((await renewed.get()).value, 1)
  clock.advance(1)
  renewed.drop(() => true)

  t.equal((await renewed.get()).value, 2)
  t.equal(state.fetched, 2)
})

t.test('perishable() is renewed in the last tenth and ends a little early', t => {
  const cases = [
    [20_000, 18_000, 19_000],
    [60_000, 54_000, 57_000],
    [3_600_000, 3_240_000, 3_590_000],
  ] as const
  for (const [lifeMs, renewAtMs, endsAtMs] of cases) {
    const expected = { value: 'x', renewAtMs: 1_000 + renewAtMs, endsAtMs: 1_000 + endsAtMs }
    t.same(perishable('x', 1_000, lifeMs), expected, `${lifeMs}`)
  }
  t.end()
})
