import { randomBytes } from 'node:crypto'
import t from 'tap'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { sizeOf } from '../../lib/streams/batches.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { readAll, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = randomBytes(300_000)
const digest = digestOf(content)

t.test('openBlob() tells in its error what an upstream answered', async t => {
  const { fake, client } = await startClient(t)
  fake.addBlob(name, content)
  const cases = [
    [401, 'denied'],
    [403, 'denied'],
    [404, 'unknown'],
    [400, 'invalid'],
    [405, 'invalid'],
    [408, 'unavailable'],
    [500, 'unavailable'],
    [503, 'unavailable'],
  ] as const
  for (const [status, failure] of cases) {
    fake.failNext({ status })
    await t.rejects(client.openBlob(name, digest), upstreamError(failure, { status }), `${status}`)
  }
  fake.failNext({ status: 429, headers: { 'Retry-After': '17' } })
  await t.rejects(client.openBlob(name, digest), upstreamError('limited', { retryAfterMs: 17_000 }))
})

t.test('openBlob() rejects an answer that cannot be the rest of the blob', async t => {
  const { fake, client } = await startClient(t)
  fake.addBlob(name, content)
  const cases: readonly (readonly [headers: Record<string, string>, why: string])[] = [
    [{ 'Content-Range': 'bytes 0-299999/300000' }, 'starts elsewhere'],
    [{ 'Content-Range': 'bytes 1000-1999/300000' }, 'ends early'],
    [{ 'Content-Range': 'bytes */300000' }, 'no range'],
    [{ 'Content-Encoding': 'gzip' }, 'encoded'],
  ]
  for (const [headers, why] of cases) {
    fake.behaviour.extraHeaders = headers
    await t.rejects(client.openBlob(name, digest, { start: 1000 }), upstreamError('invalid'), why)
  }
  fake.behaviour.extraHeaders = {}

  await t.rejects(
    client.openBlob(name, digest, { start: 300_000 }),
    upstreamError('invalid', { status: 416 }),
  )
  fake.behaviour.ignoreRange = true
  await t.rejects(
    client.openBlob(name, digest, { start: 300_001 }),
    upstreamError('invalid', { status: 200 }),
  )
})

t.test('UpstreamBody errs when the connection breaks off, chunked or not', async t => {
  const { fake, client } = await startClient(t, { cutAfterBytes: 100_000 })
  fake.addBlob(name, content)
  for (const chunked of [false, true]) {
    fake.behaviour.chunked = chunked
    const body = await client.openBlob(name, digest)
    let received = 0

    const reading = (async () => {
      for await (const batch of body) received += sizeOf(batch)
    })()

    await t.rejects(reading, upstreamError('unavailable', { status: 200 }))
    t.equal(received, 100_000, 'what came before has been delivered')
  }
})

t.test('UpstreamBody errs when nothing comes for too long', async t => {
  const { fake, client } = await startClient(t, { timeouts: { idleBodyMs: 1_000 } })
  const large = randomBytes(4 * 1024 * 1024)
  fake.addBlob(name, large)
  fake.hold(3 * 1024 * 1024)

  const body = await client.openBlob(name, digestOf(large))

  await t.rejects(readAll(body), { name: 'UpstreamError', message: /Body Timeout/ })
})

t.test('UpstreamBody ends with an error where an ignored range ends before the start', async t => {
  const { fake, client } = await startClient(t, { ignoreRange: true, chunked: true })
  fake.addBlob(name, content)
  const body = await client.openBlob(name, digest, { start: 300_001 })

  await t.rejects(readAll(body), upstreamError('unavailable'))
})

t.test('UpstreamBody rejects with the reason of the signal, before and after the headers', async t => {
  const { fake, client, counted } = await startClient(t)
  fake.addBlob(name, content)
  const reason = new Error('client has gone')

  fake.hold('headers')
  const early = new AbortController()
  const opening = client.openBlob(name, digest, { signal: early.signal })
  await fake.held()
  early.abort(reason)
  await t.rejects(opening, reason)
  fake.release()

  fake.hold(1000)
  const late = new AbortController()
  const body = await client.openBlob(name, digest, { signal: late.signal })
  await fake.held()
  const reading = readAll(body)
  late.abort(reason)
  await t.rejects(reading, reason)

  await t.rejects(client.openBlob(name, digest, { signal: AbortSignal.abort(reason) }), reason)
  t.same(await counted('blob_open'), { 200: 1 }, 'what we gave up counts as no error of theirs')
})

t.test('UpstreamBody.dispose() lets go of the connection, read or not', async t => {
  const { fake, client } = await startClient(t)
  fake.addBlob(name, content)
  fake.hold(1000)

  const body = await client.openBlob(name, digest)
  await fake.held()
  await body.dispose()
  await body.dispose()
  await until(() => fake.openBodies === 0)

  fake.release()
  const whole = await client.openBlob(name, digest)
  t.ok((await readAll(whole)).equals(content))
  await whole.dispose()
})

t.test('openBlob() leaves the sender waiting while its reader is busy', async t => {
  const { fake, client } = await startClient(t)
  const large = randomBytes(32 * 1024 * 1024)
  fake.addBlob(name, large)
  const body = await client.openBlob(name, digestOf(large))
  const iterator = body[Symbol.asyncIterator]()
  await iterator.next()

  let sent = -1
  await until(() => sent === (sent = fake.bytesSent))

  t.ok(sent < 16 * 1024 * 1024, `${sent} bytes left the sender, kernel buffers included`)
  await iterator.return?.()
})

t.test('openBlob() delivers the whole blob and its size', async t => {
  const { fake, client, counted } = await startClient(t)
  fake.addBlob(name, content)

  const body = await client.openBlob(name, digest)

  t.equal(body.size, 300_000)
  t.ok((await readAll(body)).equals(content))
  t.match(fake.requests[0], {
    method: 'GET',
    path: `/v2/library/nginx/blobs/${digest}`,
    headers: { 'accept-encoding': 'identity', 'user-agent': 'entrepot/1.2.3', range: undefined },
  })
  t.same(await counted('blob_open'), { 200: 1 })
})

t.test('openBlob() delivers from the start asked for, whether ranges are known or not', async t => {
  const { fake, client } = await startClient(t)
  fake.addBlob(name, content)
  for (const ignoreRange of [false, true]) {
    fake.behaviour.ignoreRange = ignoreRange

    const body = await client.openBlob(name, digest, { start: 123_456 })

    t.equal(body.size, 300_000, 'size of the whole blob')
    t.ok((await readAll(body)).equals(content.subarray(123_456)))
  }
  t.equal(fake.requests[0]?.headers.range, 'bytes=123456-')
})

t.test('openBlob() has no size where the headers tell none', async t => {
  const { fake, client } = await startClient(t, { chunked: true })
  fake.addBlob(name, content)

  const body = await client.openBlob(name, digest)

  t.equal(body.size, undefined)
  t.ok((await readAll(body)).equals(content))
})

t.test('openBlob() delivers a blob of no bytes', async t => {
  const { fake, client } = await startClient(t)
  const empty = fake.addBlob(name, Buffer.of())

  const body = await client.openBlob(name, empty)

  t.equal(body.size, 0)
  t.equal((await readAll(body)).length, 0)
})

t.test('openBlob() asks below the path of its URL', async t => {
  const { fake, client } = await startClient(t, {
    prefix: '/mirror/hub',
    url: url => new URL(`${url.href}/`),
  })
  fake.addBlob(name, content)

  t.ok((await readAll(await client.openBlob(name, digest))).equals(content))
  t.match(fake.requests[0]?.path, /^\/mirror\/hub\/v2\/library\/nginx\/blobs\//)
})

t.test('statBlob() fails as the upstream answers', async t => {
  const { fake, client } = await startClient(t)

  await t.rejects(client.statBlob(name, digest), upstreamError('unknown'))
  fake.failNext({ status: 502 })
  await t.rejects(client.statBlob(name, digest), upstreamError('unavailable'))
  fake.failNext({ status: 403, times: 2 })
  await t.rejects(client.statBlob(name, digest), upstreamError('denied'))
  fake.addBlob(name, content)
  fake.behaviour.chunked = true
  await t.rejects(client.statBlob(name, digest), upstreamError('invalid'), 'no size to be had')
})

t.test('statBlob() tells the size by HEAD, or by GET where HEAD is refused', async t => {
  const { fake, client, counted } = await startClient(t)
  fake.addBlob(name, content)
  const expected = { mediaType: mediaTypes.octetStream, digest, size: 300_000 }

  t.same(await client.statBlob(name, digest), expected)
  t.equal(fake.count(/^GET/), 0)
  for (const status of [405, 401, 403]) {
    fake.failNext({ status })
    t.same(await client.statBlob(name, digest), expected, `HEAD refused with ${status}`)
  }
  await until(() => fake.openBodies === 0)
  t.same(await counted('blob_stat'), { 200: 4, 405: 1, 401: 1, 403: 1 })
})

/** Waits for the fake, which learns of a closed connection a little later. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(resolve => setTimeout(resolve, 20))
}
