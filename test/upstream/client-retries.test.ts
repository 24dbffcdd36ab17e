// What a client of an upstream tries again, and what it sees of rate limits.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { RateBudget } from '../../lib/upstream/rate-budget.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'
import { readAll, startClient, upstreamError, type ClientOptions } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = randomBytes(100_000)
const digest = digestOf(content)
const latest = parseReference('latest')

/** A client that tries again, in front of a fake with one blob. */
async function start(t: Test, { upstream, ...options }: ClientOptions = {}) {
  const started = await startClient(t, { ...options, upstream: { retries: 2, ...upstream } })
  started.fake.addBlob(name, content)
  return started
}

/** Lets every pause pass until `done` has settled; gives how long they were together, at most. */
async function passPauses(clock: ManualClock, done: Promise<unknown>): Promise<number> {
  const state = { isDone: false, passedMs: 0 }
  const mark = () => (state.isDone = true)
  done.then(mark, mark)
  for (;;) {
    await until(() => state.isDone || clock.sleeping > 0)
    if (state.isDone) return state.passedMs
    clock.advance(50)
    state.passedMs += 50
  }
}

t.test(
  'openBlob() fails at once, with Retry-After, where the upstream asks for more patience than a client has',
  async t => {
    const { fake, client, retried } = await start(t)
    for (const status of [429, 503]) {
      fake.failNext({ status, headers: { 'Retry-After': '17' } })

      await t.rejects(
        client.openBlob(name, digest),
        upstreamError(status === 429 ? 'limited' : 'unavailable', { status, retryAfterMs: 17_000 }),
      )
    }
    t.equal(fake.requests.length, 2)
    t.equal(await retried(), 0)
  },
)

t.test('openBlob() fails after two more tries, within two seconds', async t => {
  const { fake, client, clock, counted, retried } = await start(t)
  fake.failNext({ status: 502, times: 10 })
  const opening = client.openBlob(name, digest)

  const passedMs = await passPauses(clock, opening)

  await t.rejects(opening, upstreamError('unavailable', { status: 502 }))
  t.same(await counted('blob_open'), { 502: 3 })
  t.equal(await retried(), 2)
  t.ok(passedMs >= 300 && passedMs <= 700, `${passedMs} ms`)
})

t.test('openBlob() fails after an immediate and two more tries where every connection is reset', async t => {
  const { fake, client, clock, counted } = await start(t)
  fake.failNext({ status: 'reset', times: 10 })
  const opening = client.openBlob(name, digest)

  await passPauses(clock, opening)

  await t.rejects(opening, upstreamError('unavailable', { status: undefined }))
  t.same(await counted('blob_open'), { error: 4 })
})

t.test('openBlob() tries no timeout, no answer and no name again', async t => {
  const { fake, client, clock } = await start(t, { timeouts: { headersMs: 1_000 } })
  for (const status of [400, 404, 501]) {
    fake.failNext({ status })
    await t.rejects(
      client.openBlob(name, digest),
      upstreamError(status === 501 ? 'unavailable' : status === 404 ? 'unknown' : 'invalid'),
    )
  }
  fake.hold('headers')
  await t.rejects(client.openBlob(name, digest), upstreamError('unavailable'))
  t.equal(fake.requests.length, 4)
  const lost = await start(t, { url: () => new URL('http://no-such-host.invalid') })
  await t.rejects(lost.client.openBlob(name, digest), upstreamError('unavailable'))
  t.equal(clock.sleeping, 0)
})

t.test('openBlob() pauses no longer than its caller stays', async t => {
  const { fake, client, clock } = await start(t)
  fake.failNext({ status: 500 })
  const leaving = new AbortController()
  const reason = new Error('client has gone')
  const opening = client.openBlob(name, digest, { signal: leaving.signal })
  await clock.slept()

  leaving.abort(reason)

  await t.rejects(opening, reason)
  t.equal(clock.sleeping, 0)
})

t.test('openBlob() gives its place back while it pauses', async t => {
  const { fake, client, clock } = await start(t, { upstream: { limits: { maxRequests: 2 } } })
  fake.failNext({ status: 500 })
  const first = client.openBlob(name, digest)
  await clock.slept()

  const second = await client.openBlob(name, digest)

  t.ok((await readAll(second)).equals(content))
  await passPauses(clock, first)
  await (await first).dispose()
})

t.test('openBlob() succeeds where trouble passes', async t => {
  const { fake, client, clock, counted } = await start(t)
  for (const status of [408, 429, 500, 503, 504]) {
    fake.failNext({ status, headers: { 'Retry-After': '1' } })
    const opening = client.openBlob(name, digest)

    const passedMs = await passPauses(clock, opening)

    t.ok((await readAll(await opening)).equals(content))
    t.equal(passedMs, 1000, 'as long as was asked for')
  }
  t.same(await counted('blob_open'), { 408: 1, 429: 1, 500: 1, 503: 1, 504: 1, 200: 5 })
})

t.test('openBlob() asks for a new redirect where the host that it led to is in trouble', async t => {
  const { fake, client, clock } = await start(t, { cdn: true })
  fake.failNext({ status: 503, match: /cdn/ })
  const opening = client.openBlob(name, digest)

  await passPauses(clock, opening)

  t.ok((await readAll(await opening)).equals(content))
  t.equal(fake.requests.length, 2)
  t.equal(fake.cdnRequests.length, 2)
})

t.test('openBlob() connects again where nobody has answered', async t => {
  const placeholder = createServer().listen(0, '127.0.0.1')
  await once(placeholder, 'listening')
  const { port } = placeholder.address() as AddressInfo
  await new Promise(resolve => placeholder.close(resolve))
  const { client, clock, counted } = await start(t, { url: () => new URL(`http://127.0.0.1:${port}`) })
  const opening = client.openBlob(name, digest)
  await clock.slept()

  const server = createServer((_req, res) => res.end(content)).listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  await passPauses(clock, opening)

  t.ok((await readAll(await opening)).equals(content))
  t.same(await counted('blob_open'), { error: 1, 200: 1 })
})

t.test(
  'manifest() asks once more where the body breaks off, unless nothing is to be tried again',
  async t => {
    const image = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] })
    let asked = 0
    let breaks = 0
    const server = createServer((_req, res) => {
      asked++
      res.setHeader('Content-Length', image.length)
      if (breaks-- > 0) res.write(image.slice(0, 10), () => res.destroy())
      else res.end(image)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close().closeAllConnections())
    const { port } = server.address() as AddressInfo
    const url = () => new URL(`http://127.0.0.1:${port}`)
    const { client } = await start(t, { url })
    const { client: impatient } = await start(t, { url, upstream: { retries: 0 } })

    breaks = 1
    await t.rejects(impatient.manifest(name, latest), upstreamError('unavailable', { status: 200 }))
    t.equal(asked, 1)

    breaks = 2
    await t.rejects(client.manifest(name, latest), upstreamError('unavailable', { status: 200 }))
    t.equal(asked, 3)

    breaks = 1
    t.match(await client.manifest(name, latest), { descriptor: { digest: digestOf(Buffer.from(image)) } })
    t.equal(asked, 5)
  },
)

t.test('One question has one patience, also where it is asked twice for the sake of credentials', async t => {
  const { fake, client, clock } = await start(t, {
    auth: 'basic',
    credentials: { username: 'a', password: 'b' },
  })
  fake.failNext({ status: 503, headers: { 'Retry-After': '2' } })
  fake.failNext({ status: 401, headers: { 'WWW-Authenticate': 'Basic realm="fake"' } })
  fake.failNext({ status: 503, headers: { 'Retry-After': '1' } })
  const opening = client.openBlob(name, digest)

  t.equal(await passPauses(clock, opening), 2000)

  await t.rejects(opening, upstreamError('unavailable', { status: 503, retryAfterMs: 1000 }))
  t.equal(fake.requests.length, 3)
})

t.test('manifest() shows the budget the headers of its own upstream only', async t => {
  const clock = new ManualClock()
  const budget = new RateBudget({ clock })
  const { fake, client } = await start(t, {
    auth: 'bearer',
    upstream: { budget },
    extraHeaders: { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' },
    cdn: true,
  })
  t.equal(client.budget?.(), undefined)

  await readAll(await client.openBlob(name, digest))
  t.equal(client.budget?.(), undefined, 'a CDN does not speak for the upstream')

  fake.addManifest(name, 'latest', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: {},
    layers: [],
  })
  await client.statManifest(name, latest)
  t.match(client.budget?.(), { limit: 100, remaining: 76, windowMs: 21_600_000 })

  fake.failNext({ status: 429, headers: { 'Retry-After': '60' } })
  await t.rejects(client.statManifest(name, latest), upstreamError('limited'))
  t.match(client.budget?.(), { remaining: 0, windowMs: 60_000 })
})
