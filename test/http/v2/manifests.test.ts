import t from 'tap'
import { maxManifestBytes } from '../../../lib/oci/manifest.ts'
import { mediaTypes } from '../../../lib/oci/media-types.ts'
import {
  codesOf,
  manifestOf,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
  startApp,
  type ErrorBody,
} from '../../support/http-client.ts'

const absent = sha256('absent')

t.test('GET manifest refuses unknown and malformed references', async t => {
  const { url } = await startApp(t)
  const table: readonly (readonly [reference: string, status: number, code: string, detail: string])[] = [
    ['latest', 404, 'MANIFEST_UNKNOWN', 'unknown tag=latest'],
    [absent, 404, 'MANIFEST_UNKNOWN', `unknown manifest name=foo revision=${absent}`],
    ['.INVALID_MANIFEST_NAME', 404, 'MANIFEST_UNKNOWN', 'unknown tag=.INVALID_MANIFEST_NAME'],
    ['a'.repeat(129), 404, 'MANIFEST_UNKNOWN', `unknown tag=${'a'.repeat(129)}`],
    ['sha256:abc', 400, 'DIGEST_INVALID', 'invalid checksum digest length'],
  ]
  for (const [reference, status, code, detail] of table) {
    const res = await fetch(`${url}/v2/foo/manifests/${reference}`)
    t.equal(res.status, status, reference)
    t.same(
      ((await res.json()) as ErrorBody).errors.map(error => [error.code, error.detail]),
      [[code, detail]],
    )
  }
})

t.test('GET and HEAD manifest by tag and by digest carry the same headers and the exact bytes', async t => {
  const { url } = await startApp(t)
  const { manifest, digest } = await pushImage(url, 'foo/bar', 'v1')

  for (const reference of ['v1', digest]) {
    for (const method of ['GET', 'HEAD']) {
      const res = await fetch(`${url}/v2/foo/bar/manifests/${reference}`, { method })
      t.equal(res.status, 200)
      t.equal(res.headers.get('content-type'), mediaTypes.ociManifest)
      t.equal(res.headers.get('content-length'), String(manifest.length))
      t.equal(res.headers.get('docker-content-digest'), digest)
      t.equal(res.headers.get('etag'), `"${digest}"`)
      t.equal(await res.text(), method === 'GET' ? manifest : '')
    }
  }
})

t.test('GET manifest serves the stored type whatever Accept says', async t => {
  const { url } = await startApp(t)
  await pushImage(url, 'foo', 'v1')

  for (const Accept of [
    '*/*',
    mediaTypes.dockerManifest,
    'text/html',
    `${mediaTypes.ociIndex}, application/json`,
  ]) {
    const res = await fetch(`${url}/v2/foo/manifests/v1`, { headers: { Accept } })
    t.equal(res.status, 200, Accept)
    t.equal(res.headers.get('content-type'), mediaTypes.ociManifest)
    await res.arrayBuffer()
  }
})

t.test('GET and HEAD manifest answer 304 to a client that has it', async t => {
  const { url } = await startApp(t)
  const { digest } = await pushImage(url, 'foo', 'v1')

  for (const reference of ['v1', digest]) {
    for (const method of ['GET', 'HEAD']) {
      const headers = { 'If-None-Match': `W/"${digest}"` }
      const res = await fetch(`${url}/v2/foo/manifests/${reference}`, { method, headers })
      t.equal(res.status, 304)
      t.equal(res.headers.get('docker-content-digest'), digest)
      t.equal(await res.text(), '')
    }
  }
})

t.test('PUT manifest refuses what it cannot accept', async t => {
  const { url } = await startApp(t)
  const manifest = manifestOf(await pushBlob(url, 'foo', '{}'), 2)
  const put = (reference: string, body: string, type: string) =>
    fetch(`${url}/v2/foo/manifests/${reference}`, { method: 'PUT', body, headers: { 'Content-Type': type } })
  const table: readonly (readonly [
    what: string,
    answer: Promise<Response>,
    status: number,
    codes: readonly string[],
  ])[] = [
    ['another digest', put(absent, manifest, mediaTypes.ociManifest), 400, ['DIGEST_INVALID']],
    ['a malformed digest', put('sha256:abc', manifest, mediaTypes.ociManifest), 400, ['DIGEST_INVALID']],
    ['a malformed tag', put('.v1', manifest, mediaTypes.ociManifest), 400, ['TAG_INVALID']],
    ['no JSON', put('v1', '{', mediaTypes.ociManifest), 400, ['MANIFEST_INVALID']],
    ['an empty body', put('v1', '', mediaTypes.ociManifest), 400, ['MANIFEST_INVALID']],
    ['another type', put('v1', manifest, mediaTypes.dockerManifest), 400, ['MANIFEST_INVALID']],
  ]
  for (const [what, answer, status, codes] of table) {
    const res = await answer
    t.equal(res.status, status, what)
    t.same(await codesOf(res), codes, what)
  }
})

t.test('PUT manifest names every missing reference in an item of its own', async t => {
  const { url } = await startApp(t)
  const [config, layer] = [sha256('config'), sha256('layer')]

  const res = await putManifest(url, 'foo', 'v1', manifestOf(config, 6, [layer, 5]))

  t.equal(res.status, 400)
  const { errors } = (await res.json()) as ErrorBody
  t.same(
    errors.map(({ code, detail }) => [code, detail]),
    [
      ['MANIFEST_BLOB_UNKNOWN', config],
      ['MANIFEST_BLOB_UNKNOWN', layer],
    ],
  )
})

t.test('PUT manifest answers 413 to more than 4 MiB, announced or not', async t => {
  const { url } = await startApp(t)
  const body = Buffer.alloc(maxManifestBytes + 1, ' ')
  const headers = { 'Content-Type': mediaTypes.ociManifest }

  const announced = await fetch(`${url}/v2/foo/manifests/v1`, { method: 'PUT', body, headers })
  const chunked = await fetch(`${url}/v2/foo/manifests/v1`, {
    method: 'PUT',
    body: new Blob([body]).stream(),
    duplex: 'half',
    headers,
  })

  for (const res of [announced, chunked]) {
    t.equal(res.status, 413)
    t.same(await codesOf(res), ['MANIFEST_INVALID'])
  }
})

t.test('PUT manifest by tag and by digest answers with its Location by digest', async t => {
  const { url } = await startApp(t)
  const manifest = manifestOf(await pushBlob(url, 'foo', '{}'), 2)
  const digest = sha256(manifest)

  for (const reference of ['v1', digest]) {
    const res = await putManifest(url, 'foo', reference, manifest)
    t.equal(res.status, 201)
    t.equal(res.headers.get('location'), `${url}/v2/foo/manifests/${digest}`)
    t.equal(res.headers.get('docker-content-digest'), digest)
    t.equal(res.headers.get('content-length'), '0')
  }
  t.equal((await fetch(`${url}/v2/foo/manifests/v1`)).status, 200)
})

t.test('DELETE manifest is refused where deleting is off, and for what is unknown', async t => {
  const off = await startApp(t, { allowDelete: false })
  const on = await startApp(t)
  const { digest } = await pushImage(off.url, 'foo', 'v1')

  for (const reference of ['v1', digest]) {
    const refused = await fetch(`${off.url}/v2/foo/manifests/${reference}`, { method: 'DELETE' })
    t.equal(refused.status, 405)
    t.same(await codesOf(refused), ['UNSUPPORTED'])
    const unknown = await fetch(`${on.url}/v2/foo/manifests/${reference}`, { method: 'DELETE' })
    t.equal(unknown.status, 404)
    t.same(await codesOf(unknown), ['MANIFEST_UNKNOWN'])
  }
})

t.test('DELETE manifest by tag leaves the manifest; by digest it removes its tags', async t => {
  const { url } = await startApp(t)
  const { digest } = await pushImage(url, 'foo', 'v1')
  const statusOf = async (reference: string) => (await fetch(`${url}/v2/foo/manifests/${reference}`)).status
  const remove = async (reference: string) =>
    (await fetch(`${url}/v2/foo/manifests/${reference}`, { method: 'DELETE' })).status

  t.equal(await remove('v1'), 202)
  t.equal(await statusOf('v1'), 404)
  t.equal(await statusOf(digest), 200)
  await pushImage(url, 'foo', 'v1')
  t.equal(await remove(digest), 202)
  t.equal(await statusOf('v1'), 404)
  t.equal(await statusOf(digest), 404)
})

t.test('PUT manifest and DELETE do not exist on a read-only registry', async t => {
  const { url } = await startApp(t, { settings: { readOnly: true } })

  for (const method of ['PUT', 'DELETE']) {
    const res = await fetch(`${url}/v2/foo/manifests/v1`, { method, ...(method === 'PUT' && { body: '{}' }) })
    t.equal(res.status, 405)
    t.equal(res.headers.get('allow'), 'GET, HEAD')
    t.same(await codesOf(res), ['UNSUPPORTED'])
  }
})
