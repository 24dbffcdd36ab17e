import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { createMetrics } from '../../lib/metrics.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import { redirectTarget } from '../../lib/upstream/transport.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { readAll, silentLogger, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = randomBytes(100_000)
const digest = digestOf(content)
const credentials = { username: 'me', password: 'hunter2' }

t.test('redirectTarget() says why it does not follow', async t => {
  const from = new URL('https://registry.test/v2/a/blobs/x')
  const cases: readonly (readonly [location: string | undefined, reason: RegExp])[] = [
    [undefined, /no Location/],
    ['http://', /not a URL/],
    ['http://cdn.test/x', /from https to http/],
    ['file:///etc/passwd', /scheme "file:"/],
  ]
  for (const [location, reason] of cases) t.match(redirectTarget(from, location), reason, String(location))
  t.equal(String(redirectTarget(from, '../y?z')), 'https://registry.test/v2/a/y?z')
  t.equal(String(redirectTarget(new URL('http://a.test/'), 'https://b.test/')), 'https://b.test/')
})

t.test('Transport.send() gives up after five redirects and on a redirect to nowhere', async t => {
  const { fake, client } = await startClient(t)
  const Location = `/v2/${name}/blobs/${digest}`

  fake.failNext({ status: 302, times: 6, headers: { Location } })
  await t.rejects(client.openBlob(name, digest), upstreamError('invalid'))
  t.equal(fake.requests.length, 6)

  fake.failNext({ status: 302 })
  await t.rejects(client.openBlob(name, digest), upstreamError('invalid'), 'no Location')
})

t.test('Transport.send() follows every kind of redirect with method and headers', async t => {
  const { fake, client, counted } = await startClient(t)
  fake.addBlob(name, content)
  const Location = `/v2/${name}/blobs/${digest}?again`
  for (const status of [301, 302, 303, 307, 308]) {
    fake.failNext({ status, headers: { Location } })
    const body = await client.openBlob(name, digest, { start: 10 })
    t.ok((await readAll(body)).equals(content.subarray(10)), `${status}`)
    t.match(fake.requests.at(-1), { method: 'GET', headers: { range: 'bytes=10-' } })
  }
  t.same(await counted('blob_open'), { 301: 1, 302: 1, 303: 1, 307: 1, 308: 1, 206: 5 })
})

t.test('Transport.send() keeps Authorization from every other origin', async t => {
  for (const auth of ['basic', 'bearer'] as const) {
    const { fake, client } = await startClient(t, { auth, credentials, cdn: true })
    fake.addBlob(name, content)

    for (const start of [0, 5]) {
      t.ok((await readAll(await client.openBlob(name, digest, { start }))).equals(content.subarray(start)))
    }
    t.equal((await client.statBlob(name, digest)).size, content.length)

    t.equal(fake.cdnRequests.length, 3)
    for (const { headers } of fake.cdnRequests) t.equal(headers.authorization, undefined)
    t.equal(fake.cdnRequests[1]?.headers.range, 'bytes=5-')
  }
})

t.test('Transport.send() takes a refused signed URL for trouble, not for an answer', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer', cdn: true })
  fake.addBlob(name, content)
  for (const status of [401, 403]) {
    fake.failNext({ status, match: /cdn/ })
    await t.rejects(client.openBlob(name, digest), upstreamError('unavailable', { status }))
  }
  t.equal(fake.tokenRequests.length, 1, 'a 401 of the CDN is no challenge')
})

t.test(
  'Transport.send() connects anew at once where the connection was reset, and no second time',
  async t => {
    const { fake, client, counted } = await startClient(t)
    fake.addBlob(name, content)

    fake.failNext({ status: 'reset' })
    t.ok((await readAll(await client.openBlob(name, digest))).equals(content))
    t.same(await counted('blob_open'), { error: 1, 200: 1 })

    fake.failNext({ status: 'reset', times: 2 })
    await t.rejects(client.openBlob(name, digest), upstreamError('unavailable', { status: undefined }))
    t.equal(fake.pendingFailures, 0)
  },
)

t.test('Transport.send() fails as unavailable where nobody answers', async t => {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  server.close()
  await once(server, 'close')
  const metrics = createMetrics()
  const deps = { clock: new ManualClock(), logger: silentLogger(), metrics, version: '1', retries: 0 }
  for (const host of [`127.0.0.1:${port}`, 'no-such-host.invalid']) {
    const client = createUpstream({ url: new URL(`http://me:hunter2@${host}`), ...deps })
    t.teardown(() => client.close())

    t.equal(client.name, host)
    await t.rejects(client.openBlob(name, digest), upstreamError('unavailable', { upstream: host }))
  }
})

t.test('Transport.send() waits for headers only so long', async t => {
  const { fake, client } = await startClient(t, { timeouts: { headersMs: 1_000 } })
  fake.hold('headers')

  await t.rejects(client.openBlob(name, digest), upstreamError('unavailable', { status: undefined }))
  t.equal(fake.requests.length, 1, 'a timeout is not tried again')
})

t.test('Transport.close() breaks off what is under way', async t => {
  const { fake, client } = await startClient(t)
  fake.addBlob(name, content)
  fake.hold(1000)
  const body = await client.openBlob(name, digest)
  await fake.held()

  const reading = t.rejects(readAll(body), upstreamError('unavailable'))
  await client.close()

  await reading
  await t.rejects(client.openBlob(name, digest), upstreamError('unavailable'))
})

t.test('createUpstream() rejects a URL that is not http or https', async t => {
  const deps = { clock: new ManualClock(), logger: silentLogger(), metrics: createMetrics(), version: '1' }
  t.throws(() => createUpstream({ url: new URL('ftp://a.test'), ...deps }), { name: 'TypeError' })
})
