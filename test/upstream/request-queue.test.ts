import t from 'tap'
import {
  RequestQueue,
  type QueueLimits,
  type Release,
  type RequestKind,
} from '../../lib/upstream/request-queue.ts'
import { upstreamError } from '../support/upstream-client.ts'

/** A queue, and who has been admitted by it in which order. */
function start(limits: QueueLimits) {
  let waiting = 0
  const queue = new RequestQueue({ upstream: 'hub', ...limits, onWaiting: change => (waiting += change) })
  const admitted: string[] = []
  const releases = new Map<string, Release>()
  return {
    admitted,
    get waiting() {
      return waiting
    },
    async enter(label: string, kind: RequestKind = 'brief', signal?: AbortSignal): Promise<void> {
      const release = await queue.enter(kind, label.charAt(0), { signal })
      admitted.push(label)
      releases.set(label, release)
    },
    /** Gives a place back and lets whoever gets it run. */
    async leave(label: string): Promise<void> {
      releases.get(label)?.()
      await settled()
    },
  }
}

/** Whoever was admitted has gone on. */
const settled = () => new Promise(resolve => setImmediate(resolve))

t.test('RequestQueue.enter() turns away at once who would be one too many to wait', async t => {
  const queue = start({ maxRequests: 2, maxQueued: 1 })
  for (const label of ['a1', 'a2', 'a3']) void queue.enter(label)

  const refused = queue.enter('a4')

  await t.rejects(
    refused,
    upstreamError('unavailable', { retryAfterMs: 1000, asked: false, upstream: 'hub' }),
  )
  await queue.leave('a1')
  t.same(queue.admitted, ['a1', 'a2', 'a3'])
})

t.test('RequestQueue.enter() lets nobody wait where none may', async t => {
  const queue = start({ maxRequests: 2, maxQueued: 0 })
  await queue.enter('a1')
  await queue.enter('a2')

  await t.rejects(queue.enter('a3'), upstreamError('unavailable'))
  await queue.leave('a1')
  await queue.enter('a3')
  t.equal(queue.waiting, 0)
})

t.test('RequestQueue.enter() ends its waiting with the signal', async t => {
  const queue = start({ maxRequests: 2 })
  const reason = new Error('client has gone')
  await t.rejects(queue.enter('a0', 'brief', AbortSignal.abort(reason)), reason)
  await queue.enter('a1')
  await queue.enter('a2')
  const leaving = new AbortController()
  const left = queue.enter('a3', 'brief', leaving.signal)
  const stays = queue.enter('a4')
  t.equal(queue.waiting, 2)

  leaving.abort(reason)

  await t.rejects(left, reason)
  t.equal(queue.waiting, 1)
  await queue.leave('a1')
  await stays
  t.same(queue.admitted, ['a1', 'a2', 'a4'])
  t.equal(queue.waiting, 0)
})

t.test('RequestQueue.enter() gives the place of one that leaves after being admitted to another', async t => {
  const queue = new RequestQueue({ upstream: 'hub', maxRequests: 2 })
  const first = await queue.enter('brief', 'a')
  await queue.enter('brief', 'a')
  const leaving = new AbortController()
  const second = queue.enter('brief', 'a', { signal: leaving.signal })
  const third = queue.enter('brief', 'a')

  first()
  leaving.abort(new Error('client has gone'))

  const release = await second
  release()
  await third
  t.pass('the place went on')
})

t.test('Release gives back one place only, however often it is called', async t => {
  const queue = start({ maxRequests: 2 })
  await queue.enter('a1')
  await queue.enter('a2')
  for (const label of ['a3', 'a4']) void queue.enter(label)

  await queue.leave('a1')
  await queue.leave('a1')

  t.same(queue.admitted, ['a1', 'a2', 'a3'])
})

t.test('RequestQueue.enter() keeps a quarter of the places free of blobs', async t => {
  const queue = start({ maxRequests: 8 })
  for (let i = 0; i < 9; i++) void queue.enter(`a${i}`, 'blob')
  await settled()
  t.equal(queue.admitted.length, 6)

  await queue.enter('b1')
  await queue.enter('b2')
  void queue.enter('b3')
  await settled()

  t.same(queue.admitted.slice(6), ['b1', 'b2'])
  await queue.leave('b1')
  t.equal(queue.admitted.at(-1), 'b3', 'a place that a blob may not have goes to the rest')
  await queue.leave('b2')
  await queue.leave('b3')
  t.equal(queue.admitted.length, 9)
  await queue.leave('a0')
  t.equal(queue.admitted.at(-1), 'a6')
})

t.test('RequestQueue.enter() has a place beside a blob whatever its limit', async t => {
  const queue = start({ maxRequests: 1 })
  await queue.enter('a1', 'blob')
  await queue.enter('a2')

  t.same(queue.admitted, ['a1', 'a2'])
})

t.test('RequestQueue.enter() lets repositories take turns, and blobs with the rest', async t => {
  const queue = start({ maxRequests: 2 })
  await queue.enter('x1')
  await queue.enter('x2', 'blob')
  for (const label of ['a1', 'a2', 'a3', 'b1']) void queue.enter(label)
  for (const label of ['c1', 'c2', 'd1']) void queue.enter(label, 'blob')

  await queue.leave('x1')
  await queue.leave('x2')
  for (let i = 2; i < 9; i++) await queue.leave(queue.admitted[i] ?? '')

  t.same(
    queue.admitted.slice(2).filter(label => /[ab]/.test(label)),
    ['a1', 'b1', 'a2', 'a3'],
  )
  t.same(
    queue.admitted.slice(2).filter(label => /[cd]/.test(label)),
    ['c1', 'd1', 'c2'],
  )
  t.ok(queue.admitted.indexOf('c1') < queue.admitted.indexOf('a3'), 'neither kind waits for all of the other')
  t.equal(queue.waiting, 0)
})

t.test('RequestQueue leaks no place whatever its users do', async t => {
  const queue = new RequestQueue({ upstream: 'hub', maxRequests: 4, maxQueued: 5 })
  const kinds = ['blob', 'brief'] as const
  const uses = Array.from({ length: 200 }, async (_, i) => {
    const leaving = new AbortController()
    if (i % 3 === 0) setImmediate(() => leaving.abort(new Error('left')))
    for (let turn = 0; turn < i % 7; turn++) await settled()
    const release = await queue.enter(kinds[i % 2] ?? 'brief', `${i % 5}`, { signal: leaving.signal })
    for (let turn = 0; turn < i % 4; turn++) await settled()
    release()
    if (i % 2 === 0) release()
  })
  await Promise.allSettled(uses)

  for (let i = 0; i < 3; i++) await queue.enter('blob', 'a')
  await queue.enter('brief', 'a')
  const leaving = new AbortController()
  const fifth = queue.enter('brief', 'a', { signal: leaving.signal })
  await settled()
  leaving.abort(new Error('four places are four'))
  await t.rejects(fifth, { message: 'four places are four' })
})
