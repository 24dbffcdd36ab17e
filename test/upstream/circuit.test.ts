import { getEventListeners } from 'node:events'
import t, { type Test } from 'tap'
import { createMetrics } from '../../lib/metrics.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { withCircuit } from '../../lib/upstream/circuit.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import type { UpstreamLimits } from '../../lib/upstream/upstream-options.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'
import { readAll, silentLogger, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = Buffer.alloc(1_000, 'x')
const digest = digestOf(content)
const latest = tagReference(parseTag('latest'))
const silence = { status: 'reset' as const, times: Infinity }

async function start(t: Test, limits: UpstreamLimits = {}) {
  const fake = await startFakeUpstream(t)
  fake.addBlob(name, content)
  const clock = new ManualClock()
  const lines: string[] = []
  const kinds: string[] = []
  const client = createUpstream({
    url: fake.url,
    version: '1.2.3',
    retries: 0,
    limits,
    clock,
    logger: silentLogger(),
    metrics: createMetrics(),
  })
  const upstream = withCircuit(client, {
    clock,
    logger: silentLogger(line => lines.push(line)),
    onChange: ({ kind }) => kinds.push(kind),
  })
  t.teardown(() => upstream.close())
  const stat = (signal?: AbortSignal) => upstream.statBlob(name, digest, { signal })
  /** What a call brings while every answer is that failure. */
  const failing = async (
    failure: Parameters<typeof fake.failNext>[0],
    call: () => Promise<unknown> = stat,
  ) => {
    fake.failNext({ times: Infinity, ...failure })
    await t.rejects(call(), { name: 'UpstreamError' })
    fake.forgetFailures()
  }
  const open = async () => {
    for (let failure = 1; failure <= 3; failure++) await failing(silence)
  }
  const burst = async (calls: number) => {
    fake.hold('headers')
    const before = fake.requests.length
    const asked = Array.from({ length: calls }, () => stat().catch((err: unknown) => err))
    await until(() => fake.requests.length === before + calls)
    return asked
  }
  return { fake, clock, upstream, lines, kinds, stat, failing, open, burst }
}

t.test('withCircuit() fails at once after three calls in a row without an answer', async t => {
  const { fake, clock, upstream, lines, open } = await start(t)
  await open()
  const asked = fake.requests.length
  clock.advance(4_000)

  const expected = upstreamError('unavailable', { retryAfterMs: 6_000 })
  await t.rejects(upstream.statBlob(name, digest), expected)
  await t.rejects(upstream.openBlob(name, digest), expected)
  await t.rejects(upstream.manifest(name, latest), expected)
  await t.rejects(upstream.statManifest(name, latest), expected)
  await t.rejects(upstream.referrers(name, digest), expected)
  await t.rejects(upstream.tags(name), expected)

  t.equal(fake.requests.length, asked, 'nobody was asked')
  t.equal(lines.length, 1)
  t.match(lines[0], /does not answer/)
})

t.test('withCircuit() stays open twice as long after each trial in vain, up to two minutes', async t => {
  const { fake, clock, upstream, lines, open, stat, failing } = await start(t)
  await open()
  for (const openMs of [10_000, 20_000, 40_000, 80_000, 120_000, 120_000]) {
    t.equal(upstream.state().untilMs, clock.now() + openMs)
    clock.advance(openMs - 1)
    const asked = fake.requests.length
    await t.rejects(stat(), upstreamError('unavailable', { retryAfterMs: 1 }))
    t.equal(fake.requests.length, asked)
    clock.advance(1)
    await failing(silence)
    t.ok(fake.requests.length > asked)
  }
  t.equal(lines.length, 1, 'said once')

  clock.advance(120_000)
  await stat()
  await open()

  t.equal(upstream.state().untilMs, clock.now() + 10_000, 'an answer begins it anew')
})

t.test('withCircuit() lets one trial through, and everybody once it was answered', async t => {
  const { fake, clock, lines, kinds, open, stat } = await start(t)
  await open()
  clock.advance(10_000)
  fake.hold('headers')

  const trial = stat()
  await fake.held()
  await t.rejects(stat(), upstreamError('unavailable', { retryAfterMs: 0 }))
  fake.release()

  t.equal((await trial).size, 1_000)
  t.same((await Promise.all([stat(), stat()])).length, 2)
  t.match(lines[1], /answers again/)
  t.same(kinds, ['open', 'half-open', 'closed'])
})

t.test('withCircuit() lets the next trial through when the caller of one has left', async t => {
  const { fake, clock, open, stat } = await start(t)
  await open()
  clock.advance(10_000)
  fake.hold('headers')
  const controller = new AbortController()

  const trial = stat(controller.signal)
  await fake.held()
  controller.abort(new Error('client has gone'))
  await t.rejects(trial, { message: 'client has gone' })
  fake.release()

  t.equal((await stat()).size, 1_000)
})

t.test('withCircuit() closes on any answer of one that was silent, also on a failure', async t => {
  const { clock, upstream, open, stat, failing } = await start(t)
  await open()
  clock.advance(10_000)

  await failing({ status: 503 })

  t.equal(upstream.state().kind, 'closed')
  t.equal((await stat()).size, 1_000)
})

t.test('withCircuit() waits as long as a 429 asks, from a second to five minutes', async t => {
  for (const [retryAfter, openMs] of [
    ['30', 30_000],
    ['0', 1_000],
    ['86400', 300_000],
    [undefined, 10_000],
  ] as const) {
    const { fake, clock, upstream, lines, stat, failing } = await start(t)
    const headers = retryAfter === undefined ? {} : { 'Retry-After': retryAfter }

    await failing({ status: 429, headers })

    const asked = fake.requests.length
    t.equal(upstream.state().kind, 'open')
    await t.rejects(stat(), upstreamError('limited', { retryAfterMs: openMs }))
    t.equal(fake.requests.length, asked)
    t.match(lines[0], /wants us to wait/)
    clock.advance(openMs)
    t.equal(upstream.state().kind, 'half-open')
    t.equal((await stat()).size, 1_000)
    t.equal(upstream.state().kind, 'closed')
  }
})

t.test('withCircuit() goes on waiting after a 429 though what was asked before is answered', async t => {
  const { fake, upstream, stat, failing } = await start(t)
  fake.behaviour.latencyMs = 50
  const earlier = stat()
  await until(() => fake.requests.length === 1)
  fake.behaviour.latencyMs = 0

  await failing({ status: 429, match: /tags/ }, () => upstream.tags(name))

  t.equal((await earlier).size, 1_000)
  t.equal(upstream.state().kind, 'open')
})

t.test('withCircuit() opens after five answers in a row that are 5xx', async t => {
  const { clock, upstream, stat, failing } = await start(t)
  for (let failure = 1; failure <= 4; failure++) await failing({ status: 502 })
  await stat()
  for (let failure = 1; failure <= 4; failure++) await failing({ status: 500 })
  t.equal(upstream.state().kind, 'closed')

  await failing({ status: 503 })

  await t.rejects(stat(), upstreamError('unavailable', { message: /failed 5 times/, retryAfterMs: 10_000 }))
  clock.advance(10_000)
  await failing({ status: 503 })
  await t.rejects(stat(), upstreamError('unavailable', { retryAfterMs: 20_000 }))
})

t.test('withCircuit() opens when ten calls wait and nothing comes in, and gives them all up', async t => {
  const { fake, clock, upstream, kinds, burst, stat } = await start(t)

  const calls = await burst(12)
  await clock.slept()
  clock.advance(1_999)
  t.equal(upstream.state().kind, 'closed')
  clock.advance(1)

  for (const err of await Promise.all(calls)) {
    t.match(err, upstreamError('unavailable', { message: /does not answer/, retryAfterMs: 10_000 }))
  }
  t.match(upstream.state(), { kind: 'open', lastFailure: /12 requests wait/ })
  fake.release()
  await t.rejects(stat(), upstreamError('unavailable'))
  t.same(kinds, ['open'])
})

t.test('withCircuit() leaves fewer calls to their timeouts', async t => {
  const { fake, clock, upstream, burst } = await start(t)

  const calls = await burst(9)
  clock.advance(60_000)
  t.equal(clock.sleeping, 0)
  fake.release()

  for (const descriptor of await Promise.all(calls)) t.match(descriptor, { size: 1_000 })
  t.equal(upstream.state().kind, 'closed')
})

t.test('withCircuit() has patience while bytes of a body come in', async t => {
  const { clock, upstream, burst } = await start(t)
  const body = await upstream.openBlob(name, digest)
  const calls = await burst(10)
  await clock.slept()

  clock.advance(1_500)
  t.equal((await readAll(body)).length, 1_000)
  clock.advance(600)
  await clock.slept()
  t.equal(upstream.state().kind, 'closed')
  clock.advance(1_400)

  t.match(await Promise.all(calls), new Array(10).fill(upstreamError('unavailable')))
})

t.test('withCircuit() has twice the patience that the last answer took', async t => {
  const { fake, clock, upstream, burst, stat } = await start(t)
  fake.hold('headers')
  const slow = stat()
  await fake.held()
  clock.advance(5_000)
  fake.release()
  await slow

  const calls = await burst(10)
  await clock.slept()
  clock.advance(9_999)
  t.equal(upstream.state().kind, 'closed')
  clock.advance(1)

  t.match(await Promise.all(calls), new Array(10).fill(upstreamError('unavailable')))
})

t.test('withCircuit() learns nothing from calls that were cancelled', async t => {
  const { fake, upstream, stat } = await start(t)
  fake.hold('headers')

  for (let call = 1; call <= 5; call++) {
    const controller = new AbortController()
    const asked = stat(controller.signal)
    await until(() => fake.requests.length === call)
    controller.abort(new Error('client has gone'))
    await t.rejects(asked, { message: 'client has gone' })
  }
  await t.rejects(stat(AbortSignal.abort(new Error('client had gone'))), { message: 'client had gone' })

  t.equal(upstream.state().kind, 'closed')
})

t.test('withCircuit() lets a caller break a body off, and leaves nothing at its signal', async t => {
  const { fake, upstream } = await start(t)
  const controller = new AbortController()
  const { signal } = controller
  await readAll(await upstream.openBlob(name, digest, { signal }))
  await (await upstream.openBlob(name, digest, { signal })).dispose()
  await upstream.statBlob(name, digest, { signal })
  await t.rejects(upstream.openBlob(name, digestOf(Buffer.from('other')), { signal }))
  t.equal(getEventListeners(signal, 'abort').length, 0)

  fake.hold(500)
  const body = await upstream.openBlob(name, digest, { signal })
  const reading = t.rejects(readAll(body), { message: 'client has gone' })
  await fake.held()
  controller.abort(new Error('client has gone'))

  await reading
})

t.test('withCircuit() learns nothing where the upstream was not asked at all', async t => {
  const { fake, upstream, stat, burst } = await start(t, { maxQueued: 0, maxRequests: 2 })
  const calls = await burst(2)

  for (let call = 1; call <= 5; call++)
    await t.rejects(stat(), upstreamError('unavailable', { asked: false }))

  t.same(upstream.state(), { kind: 'closed' })
  fake.release()
  await Promise.all(calls)
})

t.test(
  'withCircuit() counts neither answers nor bodies that break off, nor failures between answers',
  async t => {
    const { fake, upstream, stat, failing } = await start(t)
    for (const status of [404, 403, 400, 404, 403, 400]) await failing({ status })
    fake.behaviour.cutAfterBytes = 10
    for (let cut = 0; cut < 5; cut++) {
      await t.rejects(readAll(await upstream.openBlob(name, digest)), upstreamError('unavailable'))
    }
    for (let failure = 0; failure < 5; failure++) {
      await failing(silence)
      await stat()
    }
    t.equal((await stat()).size, 1_000)
  },
)

t.test('GuardedUpstream.state() tells operators how it is', async t => {
  const { clock, upstream, stat, failing, open } = await start(t)
  t.same(upstream.state(), { kind: 'closed' })

  const answeredAtMs = clock.now()
  await stat()
  t.same(upstream.state(), { kind: 'closed', lastAnsweredAtMs: answeredAtMs })

  clock.advance(1_000)
  await failing(silence)
  t.match(upstream.state(), { kind: 'closed', lastFailure: /Cannot reach/, lastAnsweredAtMs: answeredAtMs })

  await open()
  t.match(upstream.state(), { kind: 'open', untilMs: clock.now() + 10_000, lastAnsweredAtMs: answeredAtMs })
  t.match(upstream.states?.(), [{ host: upstream.name, circuit: { kind: 'open' }, budget: undefined }])

  clock.advance(-60_000)
  t.equal(upstream.state().kind, 'half-open', 'a clock that was set back does not keep it open')
})

t.test('GuardedUpstream.close() ends calls and the watch over them', async t => {
  const { clock, upstream, burst } = await start(t)
  const calls = await burst(10)
  await clock.slept()

  await upstream.close()

  t.equal(clock.sleeping, 0)
  t.match(await Promise.all(calls), new Array(10).fill(upstreamError('unavailable')))
})
