// The fault-injecting upstream, seen by a plain HTTP client. Behind it stands the fake upstream, which says what it was
// asked; or, where pushes are the point, the real application.
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { content } from './mirror.ts'
import { startFakeUpstream } from './fake-upstream.ts'
import { startFaultUpstream } from './fault-upstream.ts'
import type { FaultsInput } from './faults/schema.ts'
import { pushImage, startApp } from './http-client.ts'
import { until } from './until.ts'

const blob = content(300_000)
const small = content(100)
const manifest = Buffer.from('{"schemaVersion":2}')
const cutAfter100kB = { match: { kind: 'blob' }, cut: { afterBytes: 100_000 } } as const

t.test('startFaultUpstream() rejects faults that it does not know, and names them', async t => {
  const faults = { rules: [{ latency: 20, ratio: 2 }] } as unknown as FaultsInput

  await t.rejects(
    startFaultUpstream({ to: 'http://127.0.0.1:1', faults }),
    /"latency"[^]*rules\[0\]|rules\[0\][^]*"latency"/,
  )
})

t.test('startFaultUpstream() hands on answers, ranges and errors as they are', async t => {
  const { paths, fetchPath } = await start(t)

  const whole = await fetchPath(paths.blob)
  const range = await fetchPath(paths.blob, { headers: { range: 'bytes=10-19' } })
  const head = await fetchPath(paths.blob, { method: 'HEAD' })
  const unknown = await fetchPath('/v2/app/manifests/unknown')

  t.match(whole, { status: 200, headers: { 'content-length': '300000' }, ended: true })
  t.ok(whole.body.equals(blob))
  t.match(range, { status: 206, headers: { 'content-range': 'bytes 10-19/300000' } })
  t.ok(range.body.equals(blob.subarray(10, 20)))
  t.match(head, { status: 200, headers: { 'content-length': '300000' }, length: 0, ended: true })
  t.equal(unknown.status, 404)
})

t.test('startFaultUpstream() hands on pushes, whose links lead back to it', async t => {
  const app = await startApp(t)
  const upstream = await startFaultUpstream({ to: app.url })
  t.teardown(() => upstream.close())

  const { digest } = await pushImage(upstream.url, 'app', 'latest')

  const pulled = await request(t, `${app.url}/v2/app/manifests/latest`)
  t.match(pulled, { status: 200, headers: { 'docker-content-digest': digest } })
  t.match(upstream.control.stats().byMethodAndKind, { 'PUT manifest': 1, 'POST upload': 1 })
})

t.test('startFaultUpstream() takes from the real registry only what the client takes', async t => {
  const { fake, upstream, paths } = await start(t)
  const size = 64 * 1024 * 1024
  const path = `/v2/app/blobs/${fake.addBlob('app', Buffer.alloc(size))}`
  const { answer, req } = await open(t, upstream.url + path)

  let [sent, idleTurns] = [0, 0]
  await until(() => {
    idleTurns = sent === 0 || sent < fake.bytesSent ? 0 : idleTurns + 1
    sent = fake.bytesSent
    return idleTurns === 1000
  })

  t.ok(sent > 0 && sent < size, `${sent} bytes were taken`)
  t.equal(fake.openBodies, 1)
  answer.destroy()
  req.destroy()
  await until(() => fake.openBodies === 0 && upstream.control.stats().open === 0)
  t.equal((await request(t, upstream.url + paths.small)).status, 200)
})

t.test('latencyMs is waited before the headers', async t => {
  const { fetchPath, paths } = await start(t, { rules: [{ latencyMs: 60 }] })
  const startedAt = performance.now()

  await fetchPath(paths.manifest)

  t.ok(performance.now() - startedAt >= 55)
})

t.test('bytesPerSecond is the rate of a connection over all its bodies', async t => {
  const rules = [{ match: { kind: 'blob' }, bytesPerSecond: 2_000_000 }] as const
  const { fetchPath, paths } = await start(t, { rules: [...rules] })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const startedAt = performance.now()

  const answers = [await fetchPath(paths.blob, { agent }), await fetchPath(paths.blob, { agent })]

  t.ok(answers.every(({ body }) => body.equals(blob)))
  const seconds = (performance.now() - startedAt) / 1000
  t.ok(seconds >= 0.25, `600 kB took ${seconds} s`)
})

t.test('cut resets the connection behind so many bytes, and counts only bodies that are longer', async t => {
  const { fetchPath, paths } = await start(t, {
    rules: [{ ...cutAfter100kB, cut: { afterBytes: 100_000, times: 2 } }],
  })

  const [first, , second, third] = [
    await fetchPath(paths.blob),
    await fetchPath(paths.small),
    await fetchPath(paths.blob, { headers: { range: 'bytes=50000-' } }),
    await fetchPath(paths.blob),
  ]

  t.match(first, { status: 200, ended: false, failure: { code: 'ECONNRESET' }, length: 100_000 })
  t.ok(first.body.equals(blob.subarray(0, 100_000)))
  t.match(second, { status: 206, ended: false, length: 100_000 })
  t.ok(third.body.equals(blob))
})

t.test('status answers in place of the registry: the first times, or a share', async t => {
  const { fetchPath, paths, fake } = await start(t, {
    rules: [
      { match: { kind: 'blob' }, ratio: 0.5, status: 503 },
      { match: { kind: 'manifest' }, times: 2, status: 429, headers: { 'Retry-After': '7' } },
    ],
  })

  const statusesOf = async (path: string) => {
    const answers = []
    for (let n = 0; n < 4; n++) answers.push(await fetchPath(path))
    return answers
  }
  const manifests = await statusesOf(paths.manifest)
  const blobs = await statusesOf(paths.small)

  t.same(
    manifests.map(({ status }) => status),
    [429, 429, 200, 200],
  )
  t.equal(manifests[0]?.headers['retry-after'], '7')
  t.same(
    blobs.map(({ status }) => status),
    [503, 200, 503, 200],
  )
  t.equal(fake.requests.length, 4)
})

t.test('status may be for HEADs of blobs alone, or for everything', async t => {
  const { fetchPath, paths, upstream } = await start(t, {
    rules: [{ match: { kind: 'blob', method: 'HEAD' }, status: 405 }],
  })

  const head = await fetchPath(paths.blob, { method: 'HEAD' })
  const get = await fetchPath(paths.blob)
  await upstream.control.set({ rules: [{ status: 404 }] })
  const deleted = await Promise.all([fetchPath('/v2/'), fetchPath(paths.manifest), fetchPath(paths.blob)])

  t.same([head.status, get.status], [405, 200])
  t.same(
    deleted.map(({ status }) => status),
    [404, 404, 404],
  )
})

t.test('blackHole accepts and never answers', async t => {
  const { upstream, paths, fake } = await start(t, { rules: [{ blackHole: true }] })
  const req = http.get(upstream.url + paths.manifest)
  req.on('error', () => {})

  await until(() => upstream.control.stats().open === 1)

  t.match(upstream.control.stats(), { connections: 1, byStatus: {} })
  t.equal(fake.requests.length, 0)
  req.destroy()
  await until(() => upstream.control.stats().open === 0)
})

t.test('listening: false refuses connections and closes those there are, until it is true', async t => {
  const { upstream, paths, fetchPath } = await start(t, { rules: [cutAfter100kB] })
  const underWay = await open(t, upstream.url + paths.blob)

  await upstream.control.set({ listening: false })

  const closed = await read(underWay.answer)
  t.equal(closed.ended, false)
  await t.rejects(fetchPath(paths.manifest), { code: 'ECONNREFUSED' })
  await upstream.control.set({})
  t.equal((await fetchPath(paths.manifest)).status, 200)
})

t.test('flipByteAt changes one byte of the content, wherever a range begins', async t => {
  const { fetchPath, paths } = await start(t, { rules: [{ flipByteAt: 70_000 }] })
  const wrong = Buffer.from(blob)
  wrong[70_000] = (wrong[70_000] ?? 0) ^ 0xff

  const whole = await fetchPath(paths.blob)
  const range = await fetchPath(paths.blob, { headers: { range: 'bytes=69999-70001' } })

  t.ok(whole.body.equals(wrong))
  t.ok(range.body.equals(wrong.subarray(69_999, 70_002)))
})

t.test('truncateBy ends before the promised length, lengthenBy adds and says so', async t => {
  const { fetchPath, paths, upstream } = await start(t, { rules: [{ truncateBy: 10 }] })

  const short = await fetchPath(paths.blob)
  await upstream.control.set({ rules: [{ lengthenBy: 10 }] })
  const long = await fetchPath(paths.blob)

  t.match(short, { headers: { 'content-length': '300000' }, ended: false, length: 299_990 })
  t.match(long, { headers: { 'content-length': '300010' }, ended: true, length: 300_010 })
})

t.test('redirect leads to another port, which refuses Authorization', async t => {
  const { fetchPath, paths, upstream } = await start(t, { rules: [{ redirect: true }] })

  const redirected = await fetchPath(paths.blob)
  const location = redirected.headers.location ?? ''
  const followed = await request(t, location)
  const refused = await request(t, location, { headers: { authorization: 'Bearer secret' } })
  const unknown = await fetchPath(`/v2/app/blobs/sha256:${'0'.repeat(64)}`)

  t.equal(redirected.status, 307)
  t.not(new URL(location).port, new URL(upstream.url).port)
  t.ok(followed.body.equals(blob))
  t.same([refused.status, unknown.status], [400, 404])
  t.equal(upstream.control.stats().authorizationAtCdn, 1)
})

t.test(
  'auth wants a token of the token service, which may be slow, and keeps it from the registry',
  async t => {
    const { fetchPath, paths, upstream, fake } = await start(t, {
      auth: { username: 'user', password: 'secret', expiresInSeconds: 60 },
      rules: [{ match: { kind: 'token' }, latencyMs: 30 }],
    })

    const challenged = await fetchPath(paths.manifest)
    const [, realm = ''] = /realm="(.+?)"/.exec(challenged.headers['www-authenticate'] ?? '') ?? []
    const tokenUrl = `${realm}?service=fault-upstream&scope=repository:app:pull`
    const refused = await request(t, tokenUrl)
    const startedAt = performance.now()
    const issued = await request(t, tokenUrl, { auth: 'user:secret' })
    const { token, expires_in: expiresIn } = JSON.parse(issued.body.toString())
    const headers = { authorization: `Bearer ${token}` }
    const allowed = await fetchPath(paths.manifest, { headers })
    const elsewhere = await fetchPath('/v2/other/manifests/latest', { headers })

    t.same([challenged.status, refused.status, allowed.status, elsewhere.status], [401, 401, 200, 401])
    t.match(challenged.headers['www-authenticate'], /scope="repository:app:pull"/)
    t.ok(performance.now() - startedAt >= 25)
    t.equal(expiresIn, 60)
    t.notOk(fake.requests.some(one => one.headers.authorization !== undefined))
    t.match(upstream.control.stats().byKind, { challenge: 2, token: 2, manifest: 1 })
  },
)

t.test('gzip claims a coding that is not there, or applies one that nobody asked for', async t => {
  const { fetchPath, paths, upstream } = await start(t, { rules: [{ gzip: 'claimed' }] })

  const claimed = await fetchPath(paths.blob)
  await upstream.control.set({ rules: [{ gzip: 'applied' }] })
  const applied = await fetchPath(paths.blob)

  t.match(claimed, { headers: { 'content-encoding': 'gzip', 'content-length': '300000' } })
  t.ok(claimed.body.equals(blob))
  t.match(applied.headers, { 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' })
  t.ok(gunzipSync(applied.body).equals(blob))
})

t.test('chunked leaves Content-Length out; headers change or remove what the registry says', async t => {
  const { fetchPath, paths, upstream } = await start(t, {
    rules: [{ chunked: true, headers: { 'Docker-Content-Digest': null } }],
  })

  const bare = await fetchPath(paths.blob)
  await upstream.control.set({ rules: [{ headers: { 'Docker-Content-Digest': 'sha256:wrong' } }] })
  const wrong = await fetchPath(paths.blob, { method: 'HEAD' })

  t.ok(bare.body.equals(blob))
  t.notOk('content-length' in bare.headers || 'docker-content-digest' in bare.headers)
  t.equal(wrong.headers['docker-content-digest'], 'sha256:wrong')
})

t.test('budget counts GETs down and answers 429 without any left; HEADs are free', async t => {
  const rule = { match: { kind: 'manifest' }, budget: { limit: 2, windowSeconds: 60 } } as const
  const { fetchPath, paths } = await start(t, { rules: [rule] })

  const answers = []
  for (const method of ['GET', 'HEAD', 'GET', 'GET', 'HEAD'])
    answers.push(await fetchPath(paths.manifest, { method }))

  t.same(
    answers.map(({ status, headers }) => [
      status,
      headers['ratelimit-limit'],
      headers['ratelimit-remaining'],
    ]),
    [
      [200, '2;w=60', '1;w=60'],
      [200, '2;w=60', '1;w=60'],
      [200, '2;w=60', '0;w=60'],
      [429, '2;w=60', '0;w=60'],
      [200, '2;w=60', '0;w=60'],
    ],
  )
})

t.test('control.stats() counts requests and bytes until they are reset', async t => {
  const { fetchPath, paths, upstream } = await start(t)
  await fetchPath(paths.blob)
  await fetchPath(paths.manifest)
  await fetchPath(paths.manifest, { method: 'HEAD' })

  const stats = upstream.control.stats()
  upstream.control.reset()

  t.match(stats, {
    requests: 3,
    byKind: { blob: 1, manifest: 2 },
    byMethod: { GET: 2, HEAD: 1 },
    byPath: { [`GET ${paths.blob}`]: 1, [`HEAD ${paths.manifest}`]: 1 },
    byStatus: { 200: 3 },
    bytes: { blob: blob.length, manifest: manifest.length },
  })
  t.match(upstream.control.stats(), { requests: 0, bytes: { blob: 0, manifest: 0 } })
})

/** A fault-injecting upstream in front of a repository `app` of two blobs and one manifest. */
async function start(t: Test, faults: FaultsInput = {}) {
  const fake = await startFakeUpstream(t)
  const paths = {
    blob: `/v2/app/blobs/${fake.addBlob('app', blob)}`,
    small: `/v2/app/blobs/${fake.addBlob('app', small)}`,
    manifest: '/v2/app/manifests/latest',
  }
  fake.addManifest('app', 'latest', manifest)
  const upstream = await startFaultUpstream({ to: fake.url.origin, faults })
  t.teardown(() => upstream.close())
  const fetchPath = (path: string, options: http.RequestOptions = {}) =>
    request(t, upstream.url + path, options)
  return { fake, upstream, paths, fetchPath }
}

async function request(t: Test, url: string, options: http.RequestOptions = {}) {
  return read((await open(t, url, options)).answer)
}

async function open(t: Test, url: string, options: http.RequestOptions = {}) {
  const req = http.request(url, { agent: false, ...options })
  t.teardown(() => req.destroy())
  const [answer] = (await once(req.end(), 'response')) as [IncomingMessage]
  req.on('error', () => {}) // of an answer that breaks off; its reader says so
  return { req, answer }
}

/** As much of a body as comes. */
async function read(answer: IncomingMessage) {
  const chunks: Buffer[] = []
  let failure: Error | undefined
  try {
    for await (const chunk of answer) chunks.push(chunk as Buffer)
  } catch (err) {
    failure = err as Error
  }
  const { statusCode: status, headers, complete: ended } = answer
  const body = Buffer.concat(chunks)
  return { status, headers, ended, failure, body, length: body.length }
}
