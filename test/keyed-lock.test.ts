// Whether the lock is one: also when those who wait give up.
import { getEventListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { abortable, KeyedLock } from '../lib/keyed-lock.ts'
import { hold } from './support/stores.ts'

t.test(
  'KeyedLock.run() keeps others out while it works, although the last one who waited gave up',
  async t => {
    const lock = new KeyedLock()
    const { released, release } = hold()
    const leaving = new AbortController()
    const order: string[] = []
    const first = lock.run('key', async () => {
      await released
      order.push('first')
    })
    const second = lock.run('key', async () => void order.push('second'), { signal: leaving.signal })

    leaving.abort(new Error('gone'))
    await t.rejects(second, { message: 'gone' })
    const third = lock.run('key', async () => void order.push('third'))
    await turn()
    release()

    await Promise.all([first, third])
    t.same(order, ['first', 'third'])
  },
)

t.test('KeyedLock.run() lets those behind in when one in the middle gave up', async t => {
  const lock = new KeyedLock()
  const { released, release } = hold()
  const leaving = new AbortController()
  const order: string[] = []
  const first = lock.run('key', () => released)
  const second = lock.run('key', async () => void order.push('second'), { signal: leaving.signal })
  const third = lock.run('key', async () => void order.push('third'))

  leaving.abort(new Error('gone'))
  await t.rejects(second, { message: 'gone' })
  await turn()
  t.same(order, [], 'the first is still at it')
  release()

  await Promise.all([first, third])
  t.same(order, ['third'])
})

t.test('KeyedLock.run() runs nothing when its signal was aborted before', async t => {
  const lock = new KeyedLock()
  const reason = new Error('gone')
  let ran = false

  await t.rejects(
    lock.run('key', async () => void (ran = true), { signal: AbortSignal.abort(reason) }),
    reason,
  )

  t.notOk(ran)
  t.equal(await lock.run('key', async () => 'free'), 'free')
})

t.test('KeyedLock.run() is released by a failure, also by one that is thrown at once', async t => {
  const lock = new KeyedLock()
  const failing = lock.run('key', () => {
    throw new Error('thrown')
  })
  const rejecting = lock.run('key', () => Promise.reject(new Error('rejected')))

  await t.rejects(failing, { message: 'thrown' })
  await t.rejects(rejecting, { message: 'rejected' })

  t.equal(await lock.run('key', async () => 'free'), 'free')
})

t.test('KeyedLock.run() goes in order of arrival, one at a time', async t => {
  const lock = new KeyedLock()
  const order: number[] = []
  let inside = 0

  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      lock.run('key', async () => {
        t.equal(++inside, 1)
        for (let turns = i % 3; turns > 0; turns--) await turn()
        order.push(i)
        inside--
      }),
    ),
  )

  t.same(
    order,
    Array.from({ length: 50 }, (_, i) => i),
  )
})

t.test('KeyedLock.run() does not hold up other keys', async t => {
  const lock = new KeyedLock()
  const { released, release } = hold()
  const blocked = lock.run('a', () => released)

  t.equal(await lock.run('b', async () => 'done'), 'done')

  release()
  await blocked
})

t.test('KeyedLock keeps no entry of a key that is not in use', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const lock = new KeyedLock()
  collect()
  const before = process.memoryUsage().heapUsed

  for (let i = 0; i < 5000; i++) {
    const key = `${i}`.repeat(5000)
    const first = lock.run(key, async () => {})
    const second = lock.run(key, async () => {})
    const leaving = lock.run(key, async () => {}, { signal: AbortSignal.abort() }).catch(() => {})
    await Promise.all([first, second, leaving])
  }

  await turn()
  collect()
  const grownBytes = process.memoryUsage().heapUsed - before
  t.ok(grownBytes < 20_000_000, `grew by ${grownBytes} bytes; the keys alone have 95 MB`)
})

t.test('abortable() handles a rejection that comes after the abort, or was there before', async t => {
  const stray: unknown[] = []
  const onStray = (reason: unknown) => void stray.push(reason)
  process.on('unhandledRejection', onStray)
  t.teardown(() => process.off('unhandledRejection', onStray))
  const aborted = AbortSignal.abort(new Error('gone'))
  let fail: (reason: Error) => void = () => {}
  const failing = new Promise<never>((_, reject) => (fail = reject))
  const leaving = new AbortController()
  const waiting = abortable(failing, leaving.signal)

  leaving.abort(new Error('gone'))
  await t.rejects(waiting, { message: 'gone' })
  fail(new Error('late'))
  await t.rejects(abortable(Promise.reject(new Error('before')), aborted), { message: 'gone' })
  await turn()

  t.same(stray, [])
})

t.test('abortable() settles as the promise does and leaves no listener', async t => {
  const { signal } = new AbortController()

  t.equal(await abortable(Promise.resolve(1), signal), 1)
  await t.rejects(abortable(Promise.reject(new Error('no')), signal), { message: 'no' })
  t.equal(await abortable(Promise.resolve(2), undefined), 2)

  t.same(getEventListeners(signal, 'abort'), [])
})

t.test('KeyedLock.runAll() holds every key, and nobody waits in a circle', async t => {
  const lock = new KeyedLock()
  let inside = 0
  const work = async () => {
    t.equal(++inside, 1)
    await turn()
    inside--
  }

  await Promise.all([
    lock.runAll(['a', 'b', 'c'], work),
    lock.runAll(['c', 'a', 'b', 'a'], work),
    lock.runAll(['b', 'c', 'a'], work),
    lock.run('b', work),
  ])

  t.equal(await lock.runAll([], async () => 'done'), 'done')
  t.notOk(lock.isBusy('a'))
})

t.test('KeyedLock.runAll() lets go of what it has when it gives up waiting', async t => {
  const lock = new KeyedLock()
  const { released, release } = hold()
  const leaving = new AbortController()
  const first = lock.run('b', () => released)
  const waiting = lock.runAll(['a', 'b'], async () => {}, { signal: leaving.signal })
  t.ok(lock.isBusy('a'))

  leaving.abort(new Error('gone'))

  await t.rejects(waiting, { message: 'gone' })
  await lock.run('a', async () => {})
  release()
  await first
})

t.test('KeyedLock.isBusy() tells whether a key is in use', async t => {
  const lock = new KeyedLock()
  const { released, release } = hold()

  t.notOk(lock.isBusy('key'))
  const working = lock.run('key', () => released)
  t.ok(lock.isBusy('key'))
  t.notOk(lock.isBusy('other'))
  release()
  await working
  await turn()
  t.notOk(lock.isBusy('key'))
})
