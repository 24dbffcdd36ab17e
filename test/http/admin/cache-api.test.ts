import { once } from 'node:events'
import http from 'node:http'
import t, { type Test } from 'tap'
import type { CacheAdmin } from '../../../lib/http/admin/cache-admin.ts'
import { RegistryError } from '../../../lib/oci/errors.ts'
import { createMemoryCache, startAdminApp } from '../../support/cache-admin.ts'
import { hold } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

async function start(t: Test, over: Partial<CacheAdmin> = {}) {
  const memory = createMemoryCache()
  const { url, logLines } = await startAdminApp(t, { ...memory.cache, ...over })
  const base = `${url}/admin/cache/`
  const send = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(base + path, {
      ...{ method, body: typeof body === 'string' ? body : JSON.stringify(body) },
      headers: { 'Content-Type': 'application/json', ...headers },
    })
  const get = (path: string, headers: Record<string, string> = {}) => fetch(base + path, { headers })
  return { memory, url, base, logLines, send, get }
}

async function errorOf(res: Response): Promise<{ readonly code: string; readonly message: string }> {
  t.match(res.headers.get('content-type'), /^application\/json/)
  const { errors } = (await res.json()) as { readonly errors: readonly { code: string; message: string }[] }
  t.equal(errors.length, 1)
  return errors[0] ?? { code: '', message: '' }
}

/** With headers that fetch() keeps for itself. */
async function statusOf(method: string, url: string, headers: Record<string, string>, body?: string) {
  const request = http.request(url, { method, headers, agent: false }).end(body)
  const [res] = (await once(request, 'response')) as [http.IncomingMessage]
  res.resume()
  return res.statusCode
}

async function linesOf(res: Response): Promise<readonly Record<string, unknown>[]> {
  const text = await res.text()
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as Record<string, unknown>)
}

t.test('The admin API says that a registry without a proxy is no mirror', async t => {
  const { url } = await startAdminApp(t, undefined)

  const res = await fetch(`${url}/admin/cache/stats`)

  t.equal(res.status, 404)
  t.match(await errorOf(res), { code: 'NOT_A_MIRROR', message: /mirrors nothing/ })
})

t.test('The admin API refuses paths and methods that it does not have', async t => {
  const { get, send } = await start(t)

  const unknown = await get('nothing')
  const wrong = await send('POST', 'pins', { pattern: 'a' })
  const inherited = await get('constructor')

  t.equal(unknown.status, 404)
  t.match(await errorOf(unknown), { code: 'NOT_FOUND' })
  t.equal(wrong.status, 405)
  t.equal(wrong.headers.get('allow'), 'GET, PUT, DELETE')
  t.match(await errorOf(wrong), { code: 'METHOD_NOT_ALLOWED' })
  t.equal(inherited.status, 404)
})

t.test('The admin API refuses what a page in a browser could send on its own', async t => {
  const { base, send, get, memory } = await start(t)
  const { host } = new URL(base)
  const pin = { pattern: 'evil' }

  const form = await fetch(`${base}pins`, { method: 'PUT', body: JSON.stringify(pin) })
  t.equal(form.status, 415)
  t.match(await errorOf(form), { code: 'MEDIA_TYPE_UNSUPPORTED' })
  for (const origin of [
    'http://evil.example',
    `https://${host}.evil.example`,
    'null',
    'http://127.0.0.1:1',
  ]) {
    const res = await send('PUT', 'pins', pin, { Origin: origin })
    t.equal(res.status, 403, origin)
    t.match(await errorOf(res), { code: 'FOREIGN_ORIGIN' })
  }
  // By a name that was made to lead here; and by a link or an image.
  const rebound = { Host: 'evil.example', Origin: 'http://evil.example', 'Content-Type': 'application/json' }
  t.equal(await statusOf('PUT', `${base}pins`, rebound, JSON.stringify(pin)), 403)
  t.equal(await statusOf('GET', `${base}images`, { 'Sec-Fetch-Site': 'cross-site' }), 403)
  const foreignRead = await get('images', { Origin: 'http://evil.example' })
  t.equal(foreignRead.status, 403)
  t.same(
    memory.pins.map(({ source }) => source),
    ['configuration'],
  )
  t.equal((await send('PUT', 'pins', pin, { Origin: `http://${host}` })).status, 204)
})

t.test('The admin API refuses bodies that it cannot read', async t => {
  const { send } = await start(t)
  const cases: readonly (readonly [string, unknown, number, string, RegExp])[] = [
    ['purge', '{', 400, 'REQUEST_INVALID', /not JSON/],
    ['purge', '', 400, 'REQUEST_INVALID', /not JSON/],
    ['purge', [], 400, 'REQUEST_INVALID', /^Cannot read request: body: /],
    ['purge', {}, 400, 'REQUEST_INVALID', /image: /],
    ['purge', { image: 'a', forse: true }, 400, 'REQUEST_INVALID', /forse/],
    ['purge', { image: 'Nginx' }, 400, 'NAME_INVALID', /Nginx/],
    ['purge', { image: 'a'.repeat(70_000) }, 413, 'REQUEST_TOO_LARGE', /65536/],
    ['warm', { images: [] }, 400, 'REQUEST_INVALID', /images/],
    ['warm', { images: ['a:b:c'] }, 400, 'TAG_INVALID', /b:c/],
    ['warm', { images: ['a'], platforms: ['arm'] }, 400, 'REQUEST_INVALID', /platform "arm"/],
  ]
  for (const [path, body, status, code, message] of cases) {
    const res = await send('POST', path, body)
    t.equal(res.status, status, `${path} ${JSON.stringify(body).slice(0, 50)}`)
    t.match(await errorOf(res), { code, message })
  }
})

t.test('The admin API refuses patterns and images in a query that are none', async t => {
  const { get } = await start(t)
  const cases = {
    'images?pattern=/(/': 'REQUEST_INVALID',
    explain: 'REQUEST_INVALID',
    'explain?image=A': 'NAME_INVALID',
  }
  for (const [path, code] of Object.entries(cases)) {
    const res = await get(path)
    t.equal(res.status, 400, path)
    t.match(await errorOf(res), { code })
  }
})

t.test('The admin API passes on why something failed, and logs what is a failure of its own', async t => {
  const { get, logLines } = await start(t, {
    du: () => Promise.reject(new Error('disk on fire')),
    stats: () => Promise.reject(new RegistryError('UNAVAILABLE', 'Cannot ask upstream')),
  })

  const own = await get('du')
  const protocol = await get('stats')

  t.equal(own.status, 500)
  t.match(await errorOf(own), { code: 'UNKNOWN', message: 'disk on fire' })
  t.equal(protocol.status, 503)
  t.match(await errorOf(protocol), { code: 'UNAVAILABLE', message: 'Cannot ask upstream' })
  t.equal(logLines.length, 1)
})

t.test('GET of images ends with a line of errors when it fails on its way', async t => {
  const { images, cache } = createMemoryCache()
  const { get } = await start(t, {
    ...cache,
    async *list() {
      yield* images.slice(0, 1)
      throw new Error('disk on fire')
    },
  })

  const res = await get('images')

  t.equal(res.status, 200)
  t.match(await linesOf(res), [{ tag: 'v3' }, { errors: [{ code: 'UNKNOWN', message: 'disk on fire' }] }])
})

t.test('GET of stats, du, pins, fills and explain answer with JSON', async t => {
  const { get, memory } = await start(t)
  const json = async (path: string) => {
    const res = await get(path)
    t.equal(res.headers.get('content-type'), 'application/json')
    t.equal(res.headers.get('cache-control'), 'no-store')
    return res.json()
  }

  t.match(await json('stats'), { usedBytes: 12_300_000_000, upstreams: [{ name: 'docker.io', hits: 900 }] })
  t.match(await json('du'), { totalBytes: 3_000_000, repositories: [{}, {}] })
  t.same(await json('pins'), { pins: [{ pattern: 'library/nginx:1.*', source: 'configuration' }] })
  t.match(await json('fills'), { fills: [{ repository: 'library/nginx', bytesStored: 5 }] })
  t.same(await json('explain?image=docker.io/library/nginx'), {
    image: 'docker.io/library/nginx:latest',
    ...(JSON.parse(JSON.stringify(memory.explanation)) as object),
  })
})

t.test('GET of images answers with a line for each that matches', async t => {
  const { get } = await start(t)

  const all = await get('images')
  const some = await get('images?pattern=nginx')
  const none = await get('images?pattern=*none*')

  t.equal(all.headers.get('content-type'), 'application/x-ndjson')
  t.match(await linesOf(all), [{ tag: 'v3' }, { tag: '1.27' }, { repository: 'library/nginx' }])
  t.equal((await linesOf(some)).length, 2)
  t.equal(none.status, 200)
  t.same(await linesOf(none), [])
})

t.test('PUT and DELETE of pins change them, and say what cannot be', async t => {
  const { send, memory } = await start(t)

  t.equal((await send('PUT', 'pins', { pattern: 'ghcr.io/*' })).status, 204)
  t.match(memory.pins[1], { pattern: 'ghcr.io/*', source: 'operator' })
  t.equal((await send('DELETE', 'pins', { pattern: 'ghcr.io/*' })).status, 204)
  t.equal(memory.pins.length, 1)
  const again = await send('DELETE', 'pins', { pattern: 'ghcr.io/*' })
  t.equal(again.status, 404)
  t.match(await errorOf(again), { code: 'PIN_UNKNOWN' })
  const configured = await send('DELETE', 'pins', { pattern: 'library/nginx:1.*' })
  t.equal(configured.status, 409)
  t.match(await errorOf(configured), { code: 'PIN_CONFIGURED' })
  const invalid = await send('PUT', 'pins', { pattern: '/(/' })
  t.equal(invalid.status, 400)
  t.match(await errorOf(invalid), { code: 'REQUEST_INVALID' })
})

t.test('POST of purge removes, and what is pinned only by force', async t => {
  const { send, memory } = await start(t)

  const kept = await send('POST', 'purge', { image: 'library/nginx:1.27' })
  t.match(await kept.json(), { removedCount: 0, kept: [{ reason: 'pinned' }] })
  const gone = await send('POST', 'purge', { image: 'library/nginx:1.27', force: true })
  t.match(await gone.json(), { removedCount: 1, removedBytes: 1_234_000_000, kept: [] })
  await send('POST', 'purge', { image: 'library/nginx', allTags: true })

  t.same(
    memory.images.map(({ repository }) => repository),
    ['ghcr.io/team/app'],
  )
})

t.test('POST of warm sends each event when it happens', async t => {
  const { memory, send } = await start(t)
  const { released, release } = hold()
  memory.holdWarming(released)

  const res = await send('POST', 'warm', {
    images: ['nginx', 'broken'],
    platforms: ['linux/amd64'],
    referrers: true,
  })
  const reader = res.body?.getReader()
  const first = Buffer.from((await reader?.read())?.value ?? []).toString()
  t.same(JSON.parse(first), { kind: 'started', image: 'nginx:latest' })
  release()
  let rest = ''
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    rest += Buffer.from(part.value).toString()
  }

  const kinds = rest
    .trim()
    .split('\n')
    .map(line => (JSON.parse(line) as { readonly kind: string }).kind)
  t.same(kinds, ['resolved', 'blob', 'bytes', 'blob', 'done', 'started', 'failed'])
  t.equal(memory.warming, 0)
})

t.test('POST of warm stops when its client leaves, which is no failure', async t => {
  const { memory, base, logLines } = await start(t)
  memory.holdWarming(hold().released)
  const leaving = new AbortController()

  const res = await fetch(`${base}warm`, {
    ...{ method: 'POST', body: JSON.stringify({ images: ['nginx'] }), signal: leaving.signal },
    headers: { 'Content-Type': 'application/json' },
  })
  await res.body?.getReader().read()
  t.equal(memory.warming, 1)
  leaving.abort()
  await until(() => memory.warming === 0)

  t.same(logLines, [])
})

t.test('POST of warm is refused while as many are going on as may be', async t => {
  const { memory, send } = await start(t)
  const { released, release } = hold()
  memory.holdWarming(released)

  const running = await Promise.all(
    ['a', 'b', 'c', 'd'].map(image => send('POST', 'warm', { images: [image] })),
  )
  const refused = await send('POST', 'warm', { images: ['e'] })
  t.equal(refused.status, 429)
  t.match(await errorOf(refused), { code: 'TOO_MANY_WARM_UPS' })
  release()
  for (const res of running) t.match((await linesOf(res)).at(-1), { kind: 'done' })

  t.equal((await send('POST', 'warm', { images: ['e'] })).status, 200)
})
