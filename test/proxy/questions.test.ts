// Questions to upstreams by themselves: what they cost those who wait, and what becomes of those nobody waits for.
import t, { type Test } from 'tap'
import { Questions } from '../../lib/proxy/questions.ts'
import { offline } from '../../lib/proxy/offline.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { hold } from '../support/stores.ts'
import { until } from '../support/until.ts'
import { silentLogger, upstreamError } from '../support/upstream-client.ts'

function start(t: Test, maxUnderWay?: number) {
  const clock = new ManualClock()
  const lines: string[] = []
  const logger = silentLogger(line => lines.push(line))
  const questions = new Questions({ clock, logger, maxUnderWay, maxFailures: 3 })
  const client = createUpstream({
    url: new URL('http://127.0.0.1:1'),
    version: 'test',
    clock,
    logger,
    metrics: createMetrics(),
  })
  t.teardown(() => client.close())
  return { clock, lines, questions, upstream: offline(client) }
}

const failing = (failure: UpstreamError['failure']) => async () => {
  throw new UpstreamError(failure, 'hub', `Cannot ask: ${failure}`)
}

t.test('ask() gives the answer to all who wait, and forgets an earlier failure', async t => {
  const { questions, upstream } = start(t)
  let asked = 0
  await t.rejects(questions.ask({ key: 'a', upstream, ask: failing('limited') }), upstreamError('limited'))
  t.match(questions.failureOf('a'), { failure: 'limited', message: 'Cannot ask: limited' })

  const question = { key: 'a', upstream, ask: async () => ++asked }
  t.same(await Promise.all([questions.ask(question), questions.ask(question)]), [1, 1])

  t.equal(questions.failureOf('a'), undefined)
})

t.test('ask() passes on what is no upstream’s failure, says so, and remembers nothing', async t => {
  const { lines, questions, upstream } = start(t)
  const ask = async () => {
    throw new Error('disk full')
  }

  await t.rejects(questions.ask({ key: 'a', upstream, ask }), { message: 'disk full' })

  t.equal(questions.failureOf('a'), undefined)
  t.match(lines.join(''), /disk full/)
})

t.test('failures are remembered up to a bound, the latest', async t => {
  const { questions, upstream } = start(t)
  for (const key of ['a', 'b', 'c', 'd']) {
    await t.rejects(questions.ask({ key, upstream, ask: failing('unknown') }))
  }

  t.equal(questions.failureOf('a'), undefined)
  t.ok(questions.failureOf('d'))
  questions.forgetFailure('d')
  t.equal(questions.failureOf('d'), undefined)
})

t.test('askWithin() leaves at the end of one’s patience; the question goes on for the next one', async t => {
  const { clock, questions, upstream } = start(t)
  const { released, release } = hold()
  let asked = 0
  const question = { key: 'a', upstream, ask: async () => (await released, ++asked) }
  const first = questions.askWithin(question, 1000)
  await clock.slept()

  clock.advance(1000)
  t.equal(await first, undefined)
  t.equal(questions.isWorthWaitingFor(upstream), false)
  const second = questions.ask(question)
  release()

  t.equal(await second, 1)
  t.equal(questions.isWorthWaitingFor(upstream), true, 'it has answered')
  t.equal(clock.sleeping, 0)
})

for (const [failure, isWorth] of [
  ['unavailable', false],
  ['limited', false],
  ['unknown', true],
  ['denied', true],
  ['invalid', true],
] as const) {
  void t.test(
    `"${failure}" ${isWorth ? 'is an' : 'is no'} answer of an upstream that was waited for`,
    async t => {
      const { clock, questions, upstream } = start(t)
      const { released, release } = hold()
      const late = questions.askWithin({ key: 'a', upstream, ask: () => released }, 10)
      await clock.slept()
      clock.advance(10)
      await late

      await t.rejects(questions.ask({ key: 'b', upstream, ask: failing(failure) }))

      t.equal(questions.isWorthWaitingFor(upstream), isWorth)
      release()
    },
  )
}

t.test('askWithin() that is answered, fails or is left leaves no timer behind', async t => {
  const { clock, questions, upstream } = start(t)
  const { released, release } = hold()

  t.same(await questions.askWithin({ key: 'a', upstream, ask: async () => 1 }, 1000), { answer: 1 })
  await t.rejects(questions.askWithin({ key: 'b', upstream, ask: failing('limited') }, 1000))
  const leaving = new AbortController()
  const left = questions.askWithin({ key: 'c', upstream, ask: () => released }, 1000, leaving)
  leaving.abort(new Error('gone'))
  await t.rejects(left, { message: 'gone' })

  t.equal(clock.sleeping, 0)
  release()
})

t.test('askBehind() asks one at a time per key, so many in all, and fails for nobody', async t => {
  const { lines, questions, upstream } = start(t, 2)
  const { released, release } = hold()
  const asked: string[] = []
  const ask = (key: string) =>
    questions.askBehind({
      key,
      upstream,
      ask: async () => {
        asked.push(key)
        await released
        throw new UpstreamError('unavailable', 'hub', 'Cannot ask: nobody there')
      },
    })

  for (const key of ['a', 'a', 'b', 'c']) ask(key)
  t.same(asked, ['a', 'b'])
  release()
  await until(() => questions.failureOf('b') !== undefined)
  ask('c')

  t.same(asked, ['a', 'b', 'c'])
  t.match(lines.join(''), /upstream did not answer a question/)
})

t.test('drain() waits for what is under way, so long and no longer, and lets nothing begin', async t => {
  const { clock, questions, upstream } = start(t)
  const { released, release } = hold()
  const never = hold()
  questions.askBehind({ key: 'a', upstream, ask: () => released })

  let isDrained = false
  const draining = questions.drain(5000).then(() => (isDrained = true))
  questions.askBehind({ key: 'b', upstream, ask: async () => t.fail('begun') })
  t.equal(isDrained, false)
  release()
  await draining
  t.equal(clock.sleeping, 0)

  void questions.ask({ key: 'c', upstream, ask: () => never.released })
  const again = questions.drain(5000)
  clock.advance(5000)
  await again
  never.release()
})
