import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { SingleFlight } from '../lib/single-flight.ts'
import { hold } from './support/stores.ts'

t.test('SingleFlight.run() gives one failure to all who wait, and forgets it', async t => {
  const flights = new SingleFlight()
  const failure = new Error('no')
  let runs = 0
  const work = async () => {
    runs++
    await turn()
    throw failure
  }

  const outcomes = await Promise.allSettled([1, 2, 3].map(() => flights.run('key', work)))

  t.ok(outcomes.every(one => one.status === 'rejected' && one.reason === failure))
  t.equal(runs, 1)
  t.equal(await flights.run('key', async () => 'again'), 'again')
})

t.test('SingleFlight.run() is not stuck after work that throws at once', async t => {
  const flights = new SingleFlight()

  await t.rejects(
    flights.run('key', () => {
      throw new Error('at once')
    }),
    { message: 'at once' },
  )

  t.equal(await flights.run('key', async () => 'again'), 'again')
})

t.test('SingleFlight.run() goes on for the others when one leaves, or all', async t => {
  const flights = new SingleFlight()
  const { released, release } = hold()
  let ended = false
  const work = async () => {
    await released
    ended = true
    return 'done'
  }
  const leaving = new AbortController()
  const first = flights.run('key', work, { signal: leaving.signal })
  const second = flights.run('key', () => Promise.reject(new Error('not mine to run')))
  leaving.abort(new Error('gone'))
  await t.rejects(first, { message: 'gone' })

  t.notOk(ended)
  release()

  t.equal(await second, 'done')
})

t.test(
  'SingleFlight.run() causes no unhandled rejection when everybody has left before it fails',
  async t => {
    const stray: unknown[] = []
    const onStray = (reason: unknown) => void stray.push(reason)
    process.on('unhandledRejection', onStray)
    t.teardown(() => process.off('unhandledRejection', onStray))
    const flights = new SingleFlight()
    const { released, release } = hold()
    const leaving = new AbortController()
    const waiting = flights.run('key', () => released.then(() => Promise.reject(new Error('late'))), {
      signal: leaving.signal,
    })
    leaving.abort(new Error('gone'))
    await t.rejects(waiting, { message: 'gone' })

    release()
    await turn()
    await t.rejects(
      flights.run('key', () => Promise.reject(new Error('late')), {
        signal: AbortSignal.abort(new Error('gone')),
      }),
      { message: 'gone' },
    )
    await turn()

    t.same(stray, [])
  },
)

t.test(
  'SingleFlight.run() shares one run among those who come while it lasts, and runs again after',
  async t => {
    const flights = new SingleFlight()
    let runs = 0
    const work = async () => {
      await turn()
      return ++runs
    }

    t.same(await Promise.all([1, 2, 3].map(() => flights.run('key', work))), [1, 1, 1])
    t.equal(await flights.run('key', work), 2)
  },
)

t.test('SingleFlight.run() keeps keys apart', async t => {
  const flights = new SingleFlight()

  t.same(await Promise.all(['a', 'b'].map(key => flights.run(key, async () => key))), ['a', 'b'])
})
