// What a client is told of how a mirror came by its answer: X-Cache, Age and Warning.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { startApp } from '../support/http-client.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, startMirror, type MirrorOptions } from '../support/mirror.ts'
import { moveTag, pushTag } from '../support/tagged.ts'

async function start(t: Test, options: MirrorOptions = {}) {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, ...options })
  const { url } = await startApp(t, { wrap: () => mirror.registry })
  const told = async (path: string, init: RequestInit = {}) => {
    const res = await fetch(`${url}/v2/${app}/${path}`, init)
    await res.arrayBuffer()
    const { status, headers } = res
    return [status, headers.get('x-cache'), headers.get('age'), headers.get('warning')]
  }
  return { ...mirror, clock, told }
}

const both = (upstream: string) =>
  `299 - "stale: upstream ${upstream} unavailable", 110 - "Response is Stale"`

t.test('GET and HEAD of a tag say how fresh it is', async t => {
  const { clock, told, upstream, ...mirror } = await start(t)
  const digest = moveTag({ upstream }, 'one')
  const init = [{}, { method: 'HEAD' }, { headers: { 'If-None-Match': `"${digest}"` } }]

  t.same(await told('manifests/latest'), [200, 'MISS', '0', null])
  clock.advance(2900)
  for (const one of init) t.match(await told('manifests/latest', one), [/200|304/, 'HIT', '2', null])
  clock.advance(60_000)
  t.same(await told('manifests/latest'), [200, 'REVALIDATED', '0', null])
  clock.advance(61_000)
  upstream.failNext({ status: 503, times: 9 })
  for (const one of init) {
    t.match(await told('manifests/latest', one), [/200|304/, 'STALE', '61', both(upstream.url.host)])
  }
  t.same(await told(`manifests/${digest}`), [200, 'HIT', null, null], 'content never ages')
  await pushTag(mirror.repository, 'ours')

  t.same(await told('manifests/latest'), [200, null, null, null], 'what was pushed is nobody’s copy')
})

t.test('GET of lists says how fresh they are', async t => {
  const { clock, told, upstream } = await start(t)
  const digest = moveTag({ upstream }, 'one')

  for (const path of ['tags/list', `referrers/${digest}`]) {
    t.same(await told(path), [200, 'MISS', '0', null], path)
    clock.advance(1000)
    t.same(await told(path), [200, 'HIT', '1', null], path)
    clock.advance(60_000)
    upstream.failNext({ status: 503 })
    t.same(await told(path), [200, 'STALE', '61', both(upstream.url.host)], path)
  }
})

t.test('GET of a blob says whether it was here', async t => {
  const { fills, told, upstream } = await start(t)
  const digest = upstream.addBlob(app, randomBytes(5000))

  t.same(await told(`blobs/${digest}`), [200, 'MISS', null, null])
  await fills.find(digest)?.settled
  t.same(await told(`blobs/${digest}`), [200, 'HIT', null, null])

  t.same(await told(`blobs/${digest}`, { headers: { range: 'bytes=0-9' } }), [206, 'HIT', null, null])
})

t.test('a registry that mirrors nothing says nothing of the kind', async t => {
  const mirror = await startMirror(t)
  const { url } = await startApp(t, { wrap: () => mirror.local })
  const { digest } = await pushTag(mirror.local.repository(app), 'ours')

  for (const path of ['manifests/latest', `manifests/${digest}`, 'tags/list', `referrers/${digest}`]) {
    const { headers } = await fetch(`${url}/v2/${app}/${path}`)
    t.same([headers.get('x-cache'), headers.get('age'), headers.get('warning')], [null, null, null], path)
  }
})
