// The mirror as a client sees it: the real server on a free port before a fake upstream.
import { randomBytes } from 'node:crypto'
import http, { type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { startFakeUpstream, type FakeUpstreamOptions } from '../support/fake-upstream.ts'
import { startMirrorServer } from '../support/server-with.ts'
import { until } from '../support/until.ts'

const name = 'team/app'
const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }

async function start(t: Test, behaviour: FakeUpstreamOptions = {}, tagTtl = '1m') {
  const upstream = await startFakeUpstream(t, behaviour)
  const remote = new URL(upstream.url)
  if (behaviour.credentials !== undefined) Object.assign(remote, behaviour.credentials)
  const { log, url, debugUrl } = await startMirrorServer(
    t,
    `{remoteurl: "${remote.href}", cache: {tagttl: ${tagTtl}}}`,
  )
  return { upstream, log, url, debugUrl }
}

async function get(
  url: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<IncomingMessage> {
  const request = http.request(url, { headers, method, agent: false }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return response
}

t.test('GET of an upstream’s blob sends its headers before any byte of it has come', async t => {
  const { upstream, url } = await start(t)
  const bytes = randomBytes(500_000)
  const digest = upstream.addBlob(name, bytes)
  upstream.hold(0)

  const response = await get(`${url}/v2/${name}/blobs/${digest}`)
  t.equal(response.statusCode, 200)
  t.match(response.headers, {
    'content-length': '500000',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  })
  upstream.release()

  t.ok((await buffer(response)).equals(bytes))
})

t.test('GET of a range is served while the blob is on its way', async t => {
  const { upstream, url } = await start(t)
  const bytes = randomBytes(2_000_000)
  const digest = upstream.addBlob(name, bytes)
  upstream.hold(1_000_000)

  const response = await get(`${url}/v2/${name}/blobs/${digest}`, { range: 'bytes=100-299' })

  t.equal(response.statusCode, 206)
  t.equal(response.headers['content-range'], 'bytes 100-299/2000000')
  t.ok((await buffer(response)).equals(bytes.subarray(100, 300)))
  upstream.release()
})

t.test('GET of several ranges is served while the blob is on its way', async t => {
  const { upstream, url } = await start(t)
  const bytes = randomBytes(2_000_000)
  const digest = upstream.addBlob(name, bytes)
  upstream.hold(1_000_000)

  const response = await get(`${url}/v2/${name}/blobs/${digest}`, { range: 'bytes=-100,0-99' })

  t.equal(response.statusCode, 206)
  t.match(response.headers['content-type'], /^multipart\/byteranges; boundary=/)
  upstream.release()
  const body = await buffer(response)
  t.equal(response.headers['content-length'], String(body.length))
  const [last, first] = [body.indexOf(bytes.subarray(-100)), body.indexOf(bytes.subarray(0, 100))]
  t.ok(last > 0 && first > last, 'both, in the order in which they were asked for')
})

t.test('GET of several ranges resets the connection when the upstream’s bytes are wrong', async t => {
  const { upstream, url } = await start(t, {
    alter: bytes => Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]),
  })
  const digest = upstream.addBlob(name, randomBytes(300_000))
  upstream.hold(200_000)

  const response = await get(`${url}/v2/${name}/blobs/${digest}`, { range: 'bytes=0-99,299000-299999' })
  t.equal(response.statusCode, 206)
  upstream.release()

  await t.rejects(buffer(response), { code: 'ECONNRESET' })
})

t.test('GET resets the connection, never ends it, when the upstream’s bytes are wrong', async t => {
  for (const chunked of [false, true]) {
    const { upstream, url } = await start(t, {
      chunked,
      headRefused: chunked,
      alter: bytes => Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]),
    })
    const digest = upstream.addBlob(name, randomBytes(300_000))

    const response = await get(`${url}/v2/${name}/blobs/${digest}`)

    t.equal(response.statusCode, 200)
    await t.rejects(buffer(response), { code: 'ECONNRESET' })
    t.equal(response.complete, false)
  }
})

t.test(
  'a blob that the upstream lacks is 404, an upstream in trouble 503, in the protocol’s form',
  async t => {
    const { upstream, url } = await start(t)
    const digest = upstream.addBlob(name, randomBytes(10))
    const missing = `sha256:${'0'.repeat(64)}`

    const unknown = await get(`${url}/v2/${name}/blobs/${missing}`)
    upstream.failNext({ status: 500, times: 3 })
    const trouble = await get(`${url}/v2/${name}/blobs/${digest}`)

    t.equal(unknown.statusCode, 404)
    t.match(JSON.parse((await buffer(unknown)).toString()), { errors: [{ code: 'BLOB_UNKNOWN' }] })
    t.equal(trouble.statusCode, 503)
    t.match(JSON.parse((await buffer(trouble)).toString()), { errors: [{ code: 'UNAVAILABLE' }] })
  },
)

t.test('a stale tag carries a Warning', async t => {
  const { upstream, url } = await start(t, {}, '0s')
  upstream.addManifest(name, 'latest', index, mediaTypes.ociIndex)
  const fresh = await get(`${url}/v2/${name}/manifests/latest`)
  t.equal(fresh.headers.warning, undefined)
  fresh.resume()
  upstream.failNext({ status: 503, times: 9 })

  for (const method of ['GET', 'HEAD']) {
    const stale = await get(`${url}/v2/${name}/manifests/latest`, {}, method)
    t.equal(stale.statusCode, 200)
    t.match(stale.headers.warning, /^299 - "stale: upstream /)
    stale.resume()
  }
})

t.test('credentials and tokens of the upstream stand in no log line and on no page', async t => {
  const credentials = { username: 'robot', password: 'hunter2-secret' }
  const { upstream, url, log, debugUrl } = await start(t, { auth: 'bearer', credentials, cdn: true })
  const digest = upstream.addBlob(name, randomBytes(1000))
  upstream.addManifest(name, 'latest', index, mediaTypes.ociIndex)
  const authorization = 'Bearer client-token-secret'

  for (const path of [`blobs/${digest}`, 'manifests/latest', 'manifests/nowhere']) {
    ;(await get(`${url}/v2/${name}/${path}`, { authorization })).resume()
  }
  upstream.failNext({ status: 500, times: 9 })
  ;(await get(`${url}/v2/${name}/manifests/other`, { authorization })).resume()
  const metrics = (await buffer(await get(`${debugUrl}/metrics`))).toString()

  t.ok(upstream.tokenRequests.length > 0 && upstream.cdnRequests.length > 0)
  t.ok(upstream.cdnRequests.every(one => one.headers.authorization === undefined))
  for (const secret of ['hunter2-secret', 'client-token-secret', 'token-1', 'signature=secret']) {
    t.notOk(
      log.some(line => line.includes(secret)),
      secret,
    )
    t.notOk(metrics.includes(secret), secret)
  }
})

t.test('metrics count fills, their bytes, hits and misses, and upstream requests', async t => {
  const { upstream, url, debugUrl } = await start(t)
  const digest = upstream.addBlob(name, randomBytes(1234))
  const before = (await buffer(await get(`${debugUrl}/metrics`))).toString()
  t.match(before, 'registry_proxy_hits_total{type="blob"} 0', 'there from the start')

  await buffer(await get(`${url}/v2/${name}/blobs/${digest}`))
  // It is a hit from when it is on the disk; until then it is answered by its fill.
  const isStored = async () => {
    const page = (await buffer(await get(`${debugUrl}/metrics`))).toString()
    return page.includes('entrepot_fills_total{outcome="stored"} 1')
  }
  while (!(await isStored()));
  await buffer(await get(`${url}/v2/${name}/blobs/${digest}`))
  const metrics = (await buffer(await get(`${debugUrl}/metrics`))).toString()

  for (const line of [
    'entrepot_fills_in_flight 0',
    'entrepot_fills_total{outcome="stored"} 1',
    'entrepot_fill_bytes_total 1234',
    'registry_proxy_requests_total{type="blob"} 2',
    'registry_proxy_hits_total{type="blob"} 1',
    'registry_proxy_misses_total{type="blob"} 1',
    `entrepot_upstream_requests_total{upstream="${upstream.url.host}",operation="blob_open",code="200"} 1`,
    'registry_http_requests_total{handler="blob",code="200",method="get"} 2',
  ]) {
    t.ok(metrics.includes(line), line)
  }
})

t.test('what is served from the cache is counted in bytes, apart from what was fetched for it', async t => {
  const { upstream, url, debugUrl } = await start(t)
  const digest = upstream.addBlob(name, randomBytes(5000))
  const read = async () => buffer(await get(`${url}/v2/${name}/blobs/${digest}`))
  const served = async () => {
    const answer = await fetch(`${debugUrl}/admin/cache/stats`)
    return ((await answer.json()) as { readonly servedBytes: number }).servedBytes
  }

  await read()
  t.equal(await served(), 0)

  // A fill that has all bytes may still be on its way to storage.
  await until(async () => {
    await read()
    return (await served()) > 0
  })
  t.equal((await served()) % 5000, 0)
})
