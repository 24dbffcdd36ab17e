import t from 'tap'
import { codesOf, detailOf, locationOf, sha256, startApp, startUpload } from '../../support/http-client.ts'

const content = 'hello upload'
const digest = sha256(content)

function patch(location: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(location, { method: 'PATCH', body, headers })
}

function put(location: string, digestText: string, body?: string): Promise<Response> {
  return fetch(`${location}&digest=${digestText}`, { method: 'PUT', ...(body !== undefined && { body }) })
}

t.test('an upload refuses unknown sessions', async t => {
  const { url } = await startApp(t)
  const location = await startUpload(url, 'foo')
  const [, id = '', query = ''] = /uploads\/([^?]+)(\?.*)$/.exec(location) ?? []
  const unknown = [
    `${url}/v2/foo/blobs/uploads/00000000-0000-4000-8000-000000000000${query}`,
    `${url}/v2/foo/blobs/uploads/nonsense${query}`,
    `${url}/v2/bar/blobs/uploads/${id}${query}`,
  ]
  for (const address of unknown) {
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const res = await fetch(address, { method })
      t.equal(res.status, 404, `${method} ${address}`)
      t.same(await codesOf(res), ['BLOB_UPLOAD_UNKNOWN'])
    }
  }
})

t.test('an upload refuses a missing or forged state, but tells its status without one', async t => {
  const { url } = await startApp(t)
  const [bare = ''] = (await startUpload(url, 'foo')).split('?')

  for (const address of [bare, `${bare}?_state=`, `${bare}?_state=AAAA`]) {
    for (const method of ['PATCH', 'PUT', 'DELETE']) {
      const res = await fetch(address, { method })
      t.equal(res.status, 404)
      t.same(await codesOf(res), ['BLOB_UPLOAD_INVALID'])
    }
  }
  t.equal((await fetch(bare)).status, 204)
})

t.test('an upload answers 416 with where it stands to a chunk out of order', async t => {
  const { url } = await startApp(t)
  const start = await startUpload(url, 'foo')
  const location = locationOf(await patch(start, 'hello '))
  const late = await patch(start, 'again')
  const table: readonly (readonly [what: string, answer: Response])[] = [
    ['an old Location', late],
    ['a gap', await patch(location, 'x', { 'Content-Range': '7-7' })],
    ['an overlap', await patch(location, 'x', { 'Content-Range': '5-5' })],
    ['the last byte before the first', await patch(location, 'x', { 'Content-Range': '9-3' })],
    ['no range', await patch(location, 'x', { 'Content-Range': 'nonsense' })],
    ['an old Location to complete', await put(start, digest)],
  ]
  for (const [what, res] of table) {
    t.equal(res.status, 416, what)
    t.same(await codesOf(res), ['RANGE_INVALID'], what)
  }
  t.equal(late.headers.get('range'), '0-5')
  const rest = await patch(locationOf(late), 'upload')
  t.equal(rest.status, 202, 'the session goes on at the Location of the refusal')
  t.equal((await put(locationOf(rest), digest)).status, 201)
})

t.test('an upload refuses a chunk whose Content-Range and Content-Length disagree', async t => {
  const { url } = await startApp(t)
  const location = await startUpload(url, 'foo')

  const res = await patch(location, 'hello', { 'Content-Range': '0-9' })

  t.equal(res.status, 400)
  t.same(await codesOf(res), ['SIZE_INVALID'])
  t.equal((await patch(location, 'hello', { 'Content-Range': '0-4' })).status, 202, 'the session is unharmed')
})

t.test('an upload cannot be completed without a good digest; the session survives a wrong one', async t => {
  const { url } = await startApp(t)
  const location = locationOf(await patch(await startUpload(url, 'foo'), content))

  const missing = await fetch(location, { method: 'PUT' })
  t.equal(missing.status, 400)
  t.equal(await detailOf(missing), 'digest missing')
  t.same(await codesOf(await put(location, 'sha256:abc')), ['DIGEST_INVALID'])
  const wrong = await put(location, sha256('other'))
  t.equal(wrong.status, 400)
  t.same(await codesOf(wrong), ['DIGEST_INVALID'])
  t.equal((await fetch(`${url}/v2/foo/blobs/${sha256('other')}`)).status, 404)
  t.equal((await put(location, digest)).status, 201)
})

t.test('POST starts a session whose answer has no body and says where it stands', async t => {
  const { url } = await startApp(t)

  const res = await fetch(`${url}/v2/foo/bar/blobs/uploads/`, { method: 'POST' })

  const id = res.headers.get('docker-upload-uuid')
  t.equal(res.status, 202)
  t.equal(res.headers.get('range'), '0-0')
  t.equal(res.headers.get('content-length'), '0')
  t.equal(res.headers.get('content-type'), null)
  t.ok(locationOf(res).startsWith(`${url}/v2/foo/bar/blobs/uploads/${id}?_state=`))
})

t.test('an upload takes chunks with and without ranges and a last one with PUT', async t => {
  const { url } = await startApp(t)
  const first = await patch(await startUpload(url, 'foo'), 'he', { 'Content-Range': '0-1' })
  t.equal(first.headers.get('range'), '0-1')
  const second = await patch(locationOf(first), 'llo', { 'Content-Range': 'bytes 2-4/12' })
  t.equal(second.headers.get('range'), '0-4')
  const status = await fetch(locationOf(second))
  t.equal(status.status, 204)
  t.equal(status.headers.get('range'), '0-4')
  const stream = new Blob([' up']).stream()
  const third = await fetch(locationOf(status), {
    method: 'PATCH',
    body: stream,
    duplex: 'half',
  })
  t.equal(third.status, 202)
  t.equal(third.headers.get('range'), '0-7')

  const res = await put(locationOf(third), digest, 'load')

  t.equal(res.status, 201)
  t.equal(res.headers.get('location'), `${url}/v2/foo/blobs/${digest}`)
  t.equal(res.headers.get('docker-content-digest'), digest)
  t.equal(res.headers.get('content-length'), '0')
  t.equal(await (await fetch(locationOf(res))).text(), content)
  t.equal((await fetch(locationOf(third))).status, 404, 'the session is gone')
})

t.test('PUT honours a Content-Range', async t => {
  const { url } = await startApp(t)
  const location = locationOf(await patch(await startUpload(url, 'foo'), 'hello '))
  const last = (range: string) =>
    fetch(`${location}&digest=${digest}`, {
      method: 'PUT',
      body: 'upload',
      headers: { 'Content-Range': range },
    })

  const wrong = await last('0-5')
  t.equal(wrong.status, 416)
  t.equal(wrong.headers.get('range'), '0-5')
  t.equal((await last('6-11')).status, 201)
})

t.test('PUT without any byte makes the empty blob', async t => {
  const { url } = await startApp(t)

  const res = await put(await startUpload(url, 'foo'), sha256(''))

  t.equal(res.status, 201)
  t.equal(await (await fetch(locationOf(res))).text(), '')
})

t.test('PUT takes a sha512 digest', async t => {
  const { url } = await startApp(t)
  const { createHash } = await import('node:crypto')
  const sha512 = `sha512:${createHash('sha512').update(content).digest('hex')}`

  const res = await put(await startUpload(url, 'foo'), sha512, content)

  t.equal(res.status, 201)
  t.equal(await (await fetch(`${url}/v2/foo/blobs/${sha512}`)).text(), content)
})

t.test('HEAD tells the status of a session, DELETE ends it', async t => {
  const { url } = await startApp(t)
  const location = await startUpload(url, 'foo')

  const head = await fetch(location, { method: 'HEAD' })
  t.equal(head.status, 204)
  t.equal(head.headers.get('range'), '0-0')
  const res = await fetch(location, { method: 'DELETE' })
  t.equal(res.status, 204)
  t.equal(res.headers.get('docker-upload-uuid'), head.headers.get('docker-upload-uuid'))
  t.equal((await fetch(location, { method: 'DELETE' })).status, 404)
})

t.test('an upload can be finished at another replica with the same secret', async t => {
  const first = await startApp(t)
  const second = await startApp(t, { driver: first.driver })
  const other = await startApp(t, { driver: first.driver, settings: { secret: 'another' } })
  const location = locationOf(await patch(await startUpload(first.url, 'foo'), content))

  t.equal((await put(location.replace(first.url, other.url), digest)).status, 404)
  t.equal((await put(location.replace(first.url, second.url), digest)).status, 201)
})

t.test('Location follows what proxies in front say, and http.relativeurls', async t => {
  const { url } = await startApp(t, { settings: { prefix: '/reg' } })
  const relative = await startApp(t, { settings: { relativeUrls: true } })
  const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'outside.example' }
  const start = (address: string) => fetch(`${address}/v2/foo/blobs/uploads/`, { method: 'POST', headers })

  t.match(
    locationOf(await start(`${url}/reg`)),
    /^https:\/\/outside\.example\/reg\/v2\/foo\/blobs\/uploads\//,
  )
  t.match(locationOf(await start(relative.url)), /^\/v2\/foo\/blobs\/uploads\//)
})
