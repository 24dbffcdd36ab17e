// Tags whose time is over: who waits for the upstream, how long, and what is served meanwhile.
import t from 'tap'
import { ManifestUnknownError } from '../../lib/oci/errors.ts'
import { parseTag, tagReference } from '../../lib/oci/reference.ts'
import type { LookupEvent } from '../../lib/proxy/pull-through.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, startMirror, type Mirror } from '../support/mirror.ts'
import { indexOf, latest, manifestRequests, moveTag, pullTag } from '../support/tagged.ts'
import { until } from '../support/until.ts'

const outcomes = ({ events }: Mirror) =>
  events.filter((event): event is LookupEvent => event.kind === 'lookup').map(({ outcome }) => outcome)

t.test('get() says how it came by a tag, and counts that by upstream', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  const digest = moveTag(mirror, 'one')

  t.same(await pullTag(mirror.repository), { digest, cache: 'MISS', ageMs: 0 })
  clock.advance(59_999)
  t.same(await pullTag(mirror.repository), { digest, cache: 'HIT', ageMs: 59_999 })
  clock.advance(1)
  t.same(await pullTag(mirror.repository), { digest, cache: 'REVALIDATED', ageMs: 0 })
  clock.advance(60_000)
  mirror.upstream.failNext({ status: 503 })
  t.match(await pullTag(mirror.repository), { digest, cache: 'STALE', ageMs: 60_000, stale: /unavailable/ })
  clock.advance(60_000)
  const moved = moveTag(mirror, 'two')
  t.same(await pullTag(mirror.repository), { digest: moved, cache: 'MISS', ageMs: 0 })

  t.same(outcomes(mirror), ['miss', 'hit', 'revalidated', 'stale', 'miss'])
  const upstream = mirror.upstream.url.host
  t.ok(mirror.events.every(event => event.kind !== 'lookup' || event.upstream === upstream))
  t.same(mirror.used, [digest, digest, digest, digest, moved])
})

t.test('stat() of what had to be fetched is no use of it', async t => {
  const mirror = await startMirror(t)
  const digest = moveTag(mirror, 'one')

  const first = await mirror.repository.manifests.stat(tagReference(latest))
  t.match(first, { digest, cache: 'MISS' })
  t.same(mirror.used, [])
  await mirror.repository.manifests.stat(tagReference(latest))

  t.same(mirror.used, [digest])
})

t.test(
  'get() keeps to the time of the first rule that matches; immutable tags are asked for once',
  async t => {
    const clock = new ManualClock()
    const rules = [{ matches: (tag: string) => tag.startsWith('v'), ttlMs: Infinity }]
    const mirror = await startMirror(t, { clock, freshness: { rules } })
    const version = parseTag('v1.0.0')
    const digest = moveTag(mirror, 'one', version)
    await pullTag(mirror.repository, version)
    moveTag(mirror, 'two', version)

    clock.advance(365 * 24 * 3_600_000)
    t.match(await pullTag(mirror.repository, version), { digest, cache: 'HIT' })
    t.match(await pullTag(mirror.restart().repository, version), { digest, cache: 'HIT' })

    t.equal(mirror.upstream.requests.length, 1)
  },
)

t.test('get() does not ask again right after a failure, but soon', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  const digest = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(60_000)
  mirror.upstream.failNext({ status: 502 })
  await pullTag(mirror.repository)
  const asked = mirror.upstream.requests.length

  clock.advance(4999)
  t.match(await pullTag(mirror.repository), { digest, cache: 'STALE', stale: /unavailable/ })
  t.equal(mirror.upstream.requests.length, asked)
  clock.advance(1)

  t.match(await pullTag(mirror.repository), { digest, cache: 'REVALIDATED' })
})

t.test('get() waits for a silent upstream once, for no longer than its patience', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { patienceMs: 700 } })
  const digest = moveTag(mirror, 'one')
  moveTag(mirror, 'other', 'other')
  await pullTag(mirror.repository)
  await pullTag(mirror.repository, parseTag('other'))
  clock.advance(60_000)
  mirror.upstream.hold('headers')

  const first = pullTag(mirror.repository)
  await mirror.upstream.held()
  clock.advance(700)
  t.match(await first, { digest, cache: 'STALE', ageMs: 60_700, stale: /slow/ })
  const asked = mirror.upstream.requests.length
  for (const tag of [latest, parseTag('other'), latest]) {
    t.match(await pullTag(mirror.repository, tag), { cache: 'STALE' }, 'at once')
  }
  t.equal(clock.sleeping, 0)
  await until(() => mirror.upstream.requests.length === asked + 1)
  mirror.upstream.release()
  const served = async () => (await pullTag(mirror.repository)).cache
  await until(async () => (await served()) !== 'STALE')

  t.equal(await served(), 'HIT', 'what came of the question serves the next one')
})

t.test('cached tags come at once from behind a black hole: 99 of 100 within 100 ms', async t => {
  const mirror = await startMirror(t, { tagTtlMs: 0, freshness: { patienceMs: 50 } })
  const digest = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  mirror.upstream.hold('headers')

  const times: number[] = []
  for (let i = 0; i < 200; i++) {
    const startedAt = performance.now()
    t.match(await pullTag(mirror.repository), { digest, cache: 'STALE' })
    times.push(performance.now() - startedAt)
  }

  t.ok((times.toSorted((a, b) => a - b)[197] ?? Infinity) < 100)
  t.equal(mirror.upstream.count(manifestRequests), 2, 'the first one, and one that nobody waits for')
  mirror.upstream.release()
})

t.test('a tag that is not here is waited for, be the upstream slow', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  moveTag(mirror, 'one')
  const other = moveTag(mirror, 'other', 'other')
  await pullTag(mirror.repository)
  clock.advance(60_000)
  mirror.upstream.hold('headers')
  const waiting = pullTag(mirror.repository)
  await clock.slept()
  clock.advance(1000)
  await waiting

  const missing = pullTag(mirror.repository, parseTag('other'))
  mirror.upstream.release()

  t.match(await missing, { digest: other, cache: 'MISS' })
})

t.test('revalidation in the background serves first and asks afterwards, once for all', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { revalidation: 'background' } })
  const one = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  const two = moveTag(mirror, 'two')
  clock.advance(60_000)
  mirror.upstream.hold('headers')

  const all = await Promise.all(Array.from({ length: 20 }, () => pullTag(mirror.repository)))
  for (const served of all) t.match(served, { digest: one, cache: 'STALE', stale: 'being revalidated' })
  await mirror.upstream.held()
  t.equal(mirror.upstream.count(/^HEAD/), 1)
  mirror.upstream.release()
  await until(async () => (await pullTag(mirror.repository)).cache !== 'STALE')

  t.match(await pullTag(mirror.repository), { digest: two, cache: 'HIT' })
  t.equal(mirror.upstream.count(/^HEAD/), 1)
})

t.test('revalidation in the background ends with drain(), and begins no more', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { revalidation: 'background' } })
  moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(60_000)
  mirror.upstream.hold('headers')
  await pullTag(mirror.repository)
  await mirror.upstream.held()

  const draining = mirror.registry.drain(1000)
  mirror.upstream.release()
  await draining
  t.match(await pullTag(mirror.repository), { cache: 'HIT' }, 'it was waited for')
  clock.advance(60_000)
  await pullTag(mirror.repository)

  t.equal(mirror.upstream.count(/^HEAD/), 1)
})

t.test('a tag that is gone upstream is 404 in the background, too, and does not come back', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { revalidation: 'background' } })
  const digest = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  mirror.upstream.removeManifest(app, 'latest')
  clock.advance(60_000)

  t.match(await pullTag(mirror.repository), { digest, cache: 'STALE' })
  const isUnknown = async () => {
    try {
      await pullTag(mirror.repository)
      return false
    } catch (err) {
      return err instanceof ManifestUnknownError
    }
  }
  await until(isUnknown)
  const asked = mirror.upstream.requests.length
  clock.advance(29_999)
  t.ok(await isUnknown())
  t.equal(mirror.upstream.requests.length, asked)
  clock.advance(1)
  t.ok(await isUnknown(), 'asked first')
  t.equal(mirror.upstream.requests.length, asked + 1)
  mirror.upstream.failNext({ status: 503 })
  clock.advance(30_000)

  t.match(await pullTag(mirror.repository), { digest, cache: 'STALE' }, 'trouble is covered by the copy')
})

t.test('a tag that is gone upstream is served by policy, without asking each time', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { whenDeleted: 'serve' } })
  const digest = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  mirror.upstream.removeManifest(app, 'latest')
  clock.advance(60_000)

  t.match(await pullTag(mirror.repository), { digest, cache: 'STALE', stale: /unknown/ })
  const asked = mirror.upstream.requests.length
  t.match(await pullTag(mirror.repository), { digest, cache: 'STALE', stale: /unknown/ })
  t.equal(mirror.upstream.requests.length, asked)
  clock.advance(30_000)
  moveTag(mirror, 'one')

  t.match(await pullTag(mirror.repository), { digest, cache: 'REVALIDATED' })
})

t.test('a rate limit that runs out lets tags live longer, and ends revalidation before fetching', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  const left = (remaining: number) => {
    const window = ';w=21600'
    mirror.upstream.behaviour.extraHeaders = {
      'ratelimit-limit': `100${window}`,
      'ratelimit-remaining': `${remaining}${window}`,
    }
  }
  left(30)
  const digest = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(180_000)
  t.match(await pullTag(mirror.repository), { digest, cache: 'HIT', ageMs: 180_000 }, 'three times as long')
  left(5)
  clock.advance(10_000)
  t.match(await pullTag(mirror.repository), { digest, cache: 'REVALIDATED' })
  const asked = mirror.upstream.requests.length

  clock.advance(15 * 60_000)
  t.match(await pullTag(mirror.repository), { digest, cache: 'HIT', ageMs: 900_000 })
  t.equal(mirror.upstream.requests.length, asked)
  moveTag(mirror, 'other', 'other')
  t.match(await pullTag(mirror.repository, parseTag('other')), { cache: 'MISS' })
  clock.advance(21_600_000)

  t.match(await pullTag(mirror.repository), { cache: 'REVALIDATED' }, 'the window is over')
})

t.test('serving stale is logged once a minute for each tag', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, tagTtlMs: 0 })
  moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  mirror.upstream.failNext({ status: 503, times: 99 })
  const lines = () => mirror.logLines.filter(line => line.includes('serving what may be out of date')).length

  for (let i = 0; i < 5; i++) await pullTag(mirror.repository)
  t.equal(lines(), 1)
  clock.advance(60_000)
  await pullTag(mirror.repository)

  t.equal(lines(), 2)
})

t.test('refresh() asks for a tag that is fresh; describeTag() asks nobody', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  const one = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  const two = moveTag(mirror, 'two')
  const asked = mirror.upstream.requests.length

  t.match(await mirror.registry.describeTag(app, latest), {
    upstream: mirror.upstream.url.host,
    ...{ pushedHere: false, digest: one, newest: one, stored: true, verdict: 'fresh' },
    ...{ ageMs: 0, ttlLeftMs: 60_000, stretch: 1, lastFailure: undefined },
  })
  t.equal(mirror.upstream.requests.length, asked)
  const refreshed = await mirror.registry.refresh(app, latest)

  t.match(refreshed, { descriptor: { digest: two }, cache: 'MISS' })
  t.match(await pullTag(mirror.repository), { digest: two, cache: 'HIT' })
  mirror.upstream.removeManifest(app, 'latest')
  await t.rejects(mirror.registry.refresh(app, latest), ManifestUnknownError)
  mirror.upstream.failNext({ status: 503 })
  await t.rejects(mirror.registry.refresh(app, latest), { name: 'UpstreamError' })
})

t.test('put() under a tag that was called unknown is served at once', async t => {
  const mirror = await startMirror(t)
  await t.rejects(pullTag(mirror.repository), ManifestUnknownError)

  const bytes = Buffer.from(JSON.stringify(indexOf('ours')))
  const { digest } = await mirror.repository.manifests.put(bytes, indexOf('').mediaType, tagReference(latest))

  t.same(await pullTag(mirror.repository), { digest })
})
