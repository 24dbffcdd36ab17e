import t, { type Test } from 'tap'
import { createMetrics } from '../../lib/metrics.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { withCircuit } from '../../lib/upstream/circuit.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import { UpstreamError, type UpstreamFailure } from '../../lib/upstream/errors.ts'
import { mostTelling, withFailover } from '../../lib/upstream/failover.ts'
import { RateBudget } from '../../lib/upstream/rate-budget.ts'
import { startFakeUpstream, type FakeUpstream, type PlannedFailure } from '../support/fake-upstream.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'
import { readAll, silentLogger, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = Buffer.alloc(1_000, 'x')
const digest = digestOf(content)
const latest = tagReference(parseTag('latest'))
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 1_000 }
const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] }
const hub = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' }

/** As many URLs as that, each with its circuit, and everything on all of them. */
async function start(t: Test, urls = 2) {
  const clock = new ManualClock()
  const logger = silentLogger()
  const fakes: FakeUpstream[] = []
  const upstreams = []
  for (let index = 0; index < urls; index++) {
    const fake = await startFakeUpstream(t)
    fake.addBlob(name, content)
    fake.addManifest(name, 'latest', image)
    const deps = { clock, logger, metrics: createMetrics(), version: '1.2.3' }
    const client = createUpstream({ url: fake.url, retries: 0, budget: new RateBudget({ clock }), ...deps })
    upstreams.push(withCircuit(client, { clock, logger }))
    fakes.push(fake)
  }
  const upstream = withFailover(upstreams, { name: 'all', clock, logger })
  t.teardown(() => upstream.close())
  const stat = (signal?: AbortSignal) => upstream.statBlob(name, digest, { signal })
  const [first, second] = fakes as [FakeUpstream, FakeUpstream]
  return { clock, upstream, upstreams, fakes, first, second, stat }
}

/** Everything that `fake` is asked fails like that. */
function fail(fake: FakeUpstream, status: PlannedFailure['status'], headers = {}) {
  fake.failNext({ status, headers, times: Infinity })
}

t.test('withFailover() needs a URL', async t => {
  const options = { name: 'none', clock: new ManualClock(), logger: silentLogger() }
  t.throws(() => withFailover([], options), { name: 'TypeError', message: /no URL/ })
})

t.test('mostTelling() claims absence only if everybody does', async t => {
  const failure = (text: string) => {
    const [kind = '', seconds] = text.split(' ')
    const retryAfterMs = seconds === undefined ? undefined : Number(seconds) * 1000
    return new UpstreamError(kind as UpstreamFailure, 'any', text, { retryAfterMs })
  }
  const cases: readonly (readonly [readonly string[], number])[] = [
    [['unknown'], 0],
    [['unknown', 'unknown'], 0],
    [['denied', 'denied'], 0],
    [['denied', 'unknown'], 0],
    [['unknown', 'denied'], 1],
    [['unknown', 'unavailable'], 1],
    [['unavailable', 'unknown'], 0],
    [['denied', 'limited', 'unknown'], 1],
    [['unknown', 'invalid'], 1],
    [['invalid', 'denied'], 0],
    [['invalid', 'unavailable'], 1],
    [['unavailable', 'invalid'], 0],
    [['unavailable', 'limited'], 0],
    [['limited', 'unavailable'], 0],
    [['limited 30', 'unavailable 10', 'unavailable 20'], 1],
    [['unavailable 10', 'unavailable'], 1],
    [['unavailable 10', 'limited 10'], 0],
    [['invalid 10', 'invalid 5'], 0],
  ]
  for (const [texts, expected] of cases) {
    const failures = texts.map(failure)

    t.equal(mostTelling(failures), failures[expected], texts.join(', '))
  }
})

t.test(
  'withFailover() asks the next URL after each failure, and reports what tells most if all fail',
  async t => {
    for (const [status, failure] of [
      ['reset', 'unavailable'],
      [500, 'unavailable'],
      [429, 'limited'],
      [418, 'invalid'],
      [404, 'unknown'],
      [401, 'denied'],
    ] as const) {
      const { upstream, upstreams, first, second, stat } = await start(t)
      fail(first, status)

      t.equal((await stat()).size, 1_000, String(status))
      fail(second, 404)
      await t.rejects(stat(), upstreamError(failure, { upstream: upstreams[0]?.name ?? '' }))
      t.equal(upstream.name, 'all')
    }
  },
)

t.test('withFailover() asks the next URL for everything that there is to ask', async t => {
  const { upstream, first, second } = await start(t)
  const known = second.addManifest(name, 'latest', image)
  const referrer = { ...image, subject: { mediaType: mediaTypes.ociManifest, digest, size: 1_000 } }
  const referrerDigest = second.addManifest(name, undefined, referrer)
  fail(first, 'reset')

  t.match(await upstream.manifest(name, latest), { descriptor: { digest: known } })
  t.equal(await upstream.manifest(name, latest, { known }), 'unchanged')
  t.equal((await upstream.statManifest(name, latest)).digest, known)
  t.match(await upstream.referrers(name, digest), [{ digest: referrerDigest }])
  t.same(await upstream.tags(name), ['latest'])
  t.equal((await readAll(await upstream.openBlob(name, digest, { start: 400 }))).length, 600)
})

t.test('withFailover() does not ask a URL whose circuit is open', async t => {
  const { upstream, first, second, stat } = await start(t)
  fail(first, 429, { 'Retry-After': '30' })

  for (let call = 1; call <= 3; call++) t.equal((await stat()).size, 1_000)

  t.equal(first.requests.length, 1)
  t.equal(second.requests.length, 3)
  t.match(upstream.states?.(), [{ circuit: { kind: 'open' } }, { circuit: { kind: 'closed' } }])
  second.removeBlob(name, digest)
  await t.rejects(
    stat(),
    upstreamError('limited', { retryAfterMs: 30_000 }),
    'no 404 while one was not asked',
  )
})

t.test('withFailover() asks the next URL at once beside one that is being tried again', async t => {
  const { clock, first, second, upstream, stat } = await start(t)
  fail(first, 429)
  await stat()
  first.forgetFailures()
  first.hold('headers')
  clock.advance(10_000)

  t.equal((await stat()).size, 1_000)

  t.equal(second.requests.length, 2)
  first.release()
  await until(() => upstream.states?.()[0]?.circuit.kind === 'closed')
})

t.test('withFailover() asks the next URL beside a slow one, and disposes of what comes too late', async t => {
  const { clock, upstream, first, second } = await start(t)
  first.addBlob(name, Buffer.alloc(10_000_000, 'y'))
  const large = second.addBlob(name, Buffer.alloc(10_000_000, 'y'))
  first.hold('headers')

  const opening = upstream.openBlob(name, large)
  await first.held()
  await clock.slept()
  clock.advance(2_999)
  t.equal(second.requests.length, 0)
  clock.advance(1)

  const body = await opening
  t.equal((await readAll(body)).length, 10_000_000)
  t.equal(clock.sleeping, 0)
  first.release()
  await until(() => first.bytesSent > 0 && first.openBodies === 0)
  t.ok(first.bytesSent < 10_000_000)
})

t.test('withFailover() does not wait for a URL that still owes an answer to an earlier question', async t => {
  const { clock, first, second, stat } = await start(t)
  first.hold('headers')
  const earlier = stat()
  await clock.slept()
  clock.advance(3_000)
  await earlier

  t.equal((await stat()).size, 1_000)
  t.equal(second.requests.length, 2)
  first.release()
})

t.test('withFailover() waits for a slow URL if the others have failed', async t => {
  const { clock, first, second, stat } = await start(t)
  fail(second, 404)
  first.hold('headers')

  const asked = stat()
  await clock.slept()
  clock.advance(3_000)
  await until(() => second.requests.length === 1)
  first.release()

  t.equal((await asked).size, 1_000)
})

t.test('withFailover() asks a third URL, each after its own time', async t => {
  const { clock, fakes, stat } = await start(t, 3)
  fakes[0]?.hold('headers')
  fakes[1]?.hold('headers')

  const asked = stat()
  for (let hedge = 1; hedge <= 2; hedge++) {
    await until(() => clock.sleeping === 1)
    clock.advance(3_000)
    await until(() => fakes[hedge]?.requests.length === 1)
  }

  t.equal((await asked).size, 1_000)
  for (const fake of fakes) fake.release()
})

t.test('withFailover() keeps no time where there is one URL', async t => {
  const { clock, first, stat } = await start(t, 1)
  first.hold('headers')

  const asked = stat()
  await first.held()
  t.equal(clock.sleeping, 0)
  first.release()

  t.equal((await asked).size, 1_000)
  fail(first, 404)
  await t.rejects(stat(), upstreamError('unknown'))
})

t.test('withFailover() resumes a blob at the next URL, and returns when it went well', async t => {
  const { upstream, first, second } = await start(t)
  first.behaviour.cutAfterBytes = 300
  const get = async (start: number) => readAll(await upstream.openBlob(name, digest, { start }))

  await t.rejects(get(0), upstreamError('unavailable'))
  t.equal((await get(300)).length, 700)
  t.match([first.requests.length, second.requests.length], [1, 1])

  first.behaviour.cutAfterBytes = undefined
  await get(0)
  t.match([first.requests.length, second.requests.length], [2, 1])
})

t.test('withFailover().distrust() has a blob opened at the next URL first, until one goes well', async t => {
  const { upstream, first, second } = await start(t)
  const get = async () => readAll(await upstream.openBlob(name, digest))

  upstream.distrust?.(digest)
  await get()
  t.match([first.requests.length, second.requests.length], [1, 0], 'nothing was opened that could be wrong')

  upstream.distrust?.(digest)
  await get()
  await get()
  t.match([first.requests.length, second.requests.length], [2, 1])
})

t.test('withFailover() does not hold it against a URL that a caller has left', async t => {
  const { upstream, first, second } = await start(t)
  const controller = new AbortController()
  first.hold(500)
  const body = await upstream.openBlob(name, digest, { signal: controller.signal })
  const reading = t.rejects(readAll(body), { message: 'client has gone' })
  await first.held()
  controller.abort(new Error('client has gone'))
  await reading
  first.release()

  await readAll(await upstream.openBlob(name, digest))

  t.equal(second.requests.length, 0)
})

t.test('withFailover() ends all questions when their caller leaves', async t => {
  const { clock, first, second, stat } = await start(t)
  const controller = new AbortController()
  first.hold('headers')
  second.hold('headers')

  const asked = stat(controller.signal)
  await clock.slept()
  clock.advance(3_000)
  await second.held()
  controller.abort(new Error('client has gone'))

  await t.rejects(asked, { message: 'client has gone' })
  t.equal(clock.sleeping, 0)
  await t.rejects(stat(AbortSignal.abort(new Error('client had gone'))), { message: 'client had gone' })
})

t.test('withFailover() tells of the first budget that is known, and of each URL', async t => {
  const { upstream, upstreams, second, first, stat } = await start(t)
  t.equal(upstream.budget?.(), undefined)
  second.behaviour.extraHeaders = hub
  fail(first, 503)
  await stat()

  t.match(upstream.budget?.(), { limit: 100, remaining: 76 })
  t.match(upstream.states?.(), [
    { host: upstreams[0]?.name, circuit: { kind: 'closed', lastFailure: /503/ }, budget: undefined },
    { host: upstreams[1]?.name, circuit: { kind: 'closed' }, budget: { remaining: 76 } },
  ])
})

t.test('withFailover() tells of a URL that has no circuit as one that is asked', async t => {
  const { fakes, upstreams, clock } = await start(t)
  const deps = { clock, logger: silentLogger(), metrics: createMetrics(), version: '1.2.3' }
  const plain = fakes.map(({ url }) => createUpstream({ url, ...deps }))
  const upstream = withFailover(plain, { name: 'plain', clock, logger: silentLogger() })
  t.teardown(() => upstream.close())

  t.equal((await upstream.statBlob(name, digest)).size, 1_000)

  const circuit = { kind: 'closed' }
  t.same(
    upstream.states?.(),
    upstreams.map(one => ({ host: one.name, circuit, budget: undefined })),
  )
})

t.test('withFailover().close() closes every URL and ends what has lost', async t => {
  const { clock, upstream, first, stat } = await start(t)
  first.hold('headers')
  const asked = stat()
  await clock.slept()
  clock.advance(3_000)
  await asked

  await upstream.close()

  await t.rejects(stat(), upstreamError('unavailable'))
  first.release()
})
