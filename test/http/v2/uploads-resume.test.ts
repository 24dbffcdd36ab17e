// Uploads that go on after a restart, in another process, or not at all; and the algorithm that they are told.
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../../lib/storage/driver/driver.ts'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { parseUploadId } from '../../../lib/oci/upload-id.ts'
import { codesOf, locationOf, sha256, startApp, startUpload } from '../../support/http-client.ts'
import { createStores, hooked, openTestDriver } from '../../support/stores.ts'

const content = 'hello upload'
const digest = sha256(content)
const sha512 = `sha512:${createHash('sha512').update(content).digest('hex')}`

function patch(location: string, body: string, range?: string): Promise<Response> {
  return fetch(location, {
    method: 'PATCH',
    body,
    ...(range !== undefined && { headers: { 'Content-Range': range } }),
  })
}

/** Two processes over one store, which share their secret. */
async function startTwo(t: Test, driver: StorageDriver) {
  const [one, two] = [await startApp(t, { driver }), await startApp(t, { driver })]
  return { one, two, elsewhere: (location: string) => location.replace(one.url, two.url) }
}

t.test('an upload goes on in another process, and after a restart', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  const { one, two, elsewhere } = await startTwo(t, driver)
  const first = await patch(await startUpload(one.url, 'foo'), 'hello ', '0-5')
  one.server.closeAllConnections()
  one.server.close()

  const status = await fetch(elsewhere(locationOf(first).replace(/\?.*/, '')))
  t.equal(status.status, 204)
  t.equal(status.headers.get('range'), '0-5')
  const second = await patch(elsewhere(locationOf(first)), 'upload', '6-11')
  t.equal(second.status, 202)
  t.equal(second.headers.get('range'), '0-11')
  const res = await fetch(`${locationOf(second)}&digest=${digest}`, { method: 'PUT' })

  t.equal(res.status, 201)
  t.equal(await (await fetch(`${two.url}/v2/foo/blobs/${digest}`)).text(), content)
})

t.test('an upload that two processes append to takes each piece once, and tells where it stands', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  const { one, elsewhere } = await startTwo(t, driver)
  const start = await startUpload(one.url, 'foo')
  const first = locationOf(await patch(start, 'hello ', '0-5'))
  const table: readonly (readonly [what: string, answer: Promise<Response>])[] = [
    ['the same piece again', patch(elsewhere(start), 'hello ', '0-5')],
    ['the same piece again, without a range', patch(elsewhere(start), 'hello ')],
    ['an overlap', patch(elsewhere(first), 'o up', '4-7')],
    ['a gap', patch(elsewhere(first), 'load', '8-11')],
    ['a piece within', patch(elsewhere(first), 'ell', '1-3')],
  ]

  for (const [what, answer] of table) {
    const res = await answer
    t.equal(res.status, 416, what)
    t.same(await codesOf(res), ['RANGE_INVALID'])
    t.equal(res.headers.get('range'), '0-5', what)
    t.equal((await fetch(locationOf(res))).status, 204, 'the Location is good')
  }
  const last = await patch(elsewhere(first), 'upload', '6-11')
  t.equal(last.status, 202)
  const late = await patch(first, 'upload', '6-11')
  t.equal(late.status, 416, 'the first process sees what the second has taken')
  t.equal(late.headers.get('range'), '0-11')
  t.equal((await fetch(`${locationOf(late)}&digest=${digest}`, { method: 'PUT' })).status, 201)
})

t.test('an upload is refused by a process with another secret: BLOB_UPLOAD_INVALID', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const one = await startApp(t, { driver })
  const stranger = await startApp(t, { driver, settings: { secret: 'another' } })
  const location = (await startUpload(one.url, 'foo')).replace(one.url, stranger.url)

  const res = await patch(location, content)

  t.equal(res.status, 404)
  t.same(await codesOf(res), ['BLOB_UPLOAD_INVALID'])
  t.equal((await fetch(location)).status, 204, 'it may be asked about')
})

t.test('an upload that was purged is unknown, whatever is tried', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const { url } = await startApp(t, { driver })
  const location = locationOf(await patch(await startUpload(url, 'foo'), 'hello '))
  const [, id = ''] = /uploads\/([^?]+)/.exec(location) ?? []
  const { uploads } = createStores(driver)
  const later = Date.now() + 3_600_000

  t.ok(await uploads.removeIfStale(parseRepositoryName('foo'), parseUploadId(id), later, { dryRun: false }))

  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
    const res = await fetch(`${location}&digest=${digest}`, { method })
    t.equal(res.status, 404, method)
    t.same(await codesOf(res), ['BLOB_UPLOAD_UNKNOWN'])
  }
})

t.test('POST ?digest-algorithm= saves the second reading', async t => {
  const reads: string[] = []
  const driver = hooked(await openTestDriver(t, 'inmemory'), ({ action, path }) => {
    if (action === 'read' && path.includes('_uploads')) reads.push(path)
  })
  const { url } = await startApp(t, { driver })
  const upload = async (query: string) => {
    const started = await fetch(`${url}/v2/foo/blobs/uploads/${query}`, { method: 'POST' })
    t.equal(started.status, 202)
    const patched = await patch(locationOf(started), content)
    return fetch(`${locationOf(patched)}&digest=${sha512}`, { method: 'PUT' })
  }

  const res = await upload('?digest-algorithm=sha512')
  t.equal(res.status, 201)
  t.equal(res.headers.get('docker-content-digest'), sha512)
  t.same(reads, [])
  t.equal(await (await fetch(`${url}/v2/foo/blobs/${sha512}`)).text(), content)

  t.equal((await upload('')).status, 201)
  t.not(reads.length, 0, 'the other way round it has to be read')
})

t.test('POST ?digest= with sha512 makes a blob at once', async t => {
  const { url } = await startApp(t)

  const res = await fetch(`${url}/v2/foo/blobs/uploads/?digest=${sha512}`, { method: 'POST', body: content })

  t.equal(res.status, 201)
  t.equal(res.headers.get('docker-content-digest'), sha512)
  t.equal((await fetch(locationOf(res), { method: 'HEAD' })).headers.get('docker-content-digest'), sha512)
})

t.test('POST ?digest-algorithm= refuses what it does not know', async t => {
  const { url } = await startApp(t)

  for (const algorithm of ['sha1', 'md5', 'SHA512', 'toString']) {
    const res = await fetch(`${url}/v2/foo/blobs/uploads/?digest-algorithm=${algorithm}`, { method: 'POST' })
    t.equal(res.status, 400, algorithm)
    t.same(await codesOf(res), ['DIGEST_INVALID'])
  }
})
