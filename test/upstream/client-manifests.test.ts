import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { maxManifestBytes } from '../../lib/oci/manifest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference, parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const latest = tagReference(parseTag('latest'))
const blob = {
  mediaType: 'application/vnd.oci.image.config.v1+json',
  digest: digestOf(Buffer.of(1)),
  size: 1,
}
const image = { schemaVersion: 2, config: blob, layers: [], annotations: { title: 'image' } }
const index = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [{ ...blob, mediaType: mediaTypes.ociManifest }],
}

t.test('manifest() tells in its error what an upstream answered', async t => {
  const { fake, client } = await startClient(t)
  const cases = [
    [404, 'unknown'],
    [403, 'denied'],
    [429, 'limited'],
    [500, 'unavailable'],
    [406, 'invalid'],
  ] as const
  for (const [status, failure] of cases) {
    fake.failNext({ status, times: 2 })
    await t.rejects(client.manifest(name, latest), upstreamError(failure, { status }), `GET: ${status}`)
    const known = digestOf(Buffer.of())
    await t.rejects(
      client.manifest(name, latest, { known }),
      upstreamError(failure, { status }),
      `HEAD: ${status}`,
    )
  }
})

t.test('manifest() rejects what its bytes do not prove', async t => {
  const { fake, client } = await startClient(t)
  const digest = fake.addManifest(name, 'latest', image)
  const other = digestOf(Buffer.from('other'))
  const headers: readonly (readonly [value: string, why: string])[] = [
    [other, 'another digest'],
    [digestOf(Buffer.from('other'), 'sha512'), 'another digest of the other algorithm'],
    ['sha256:abc', 'no whole digest'],
  ]
  for (const [value, why] of headers) {
    fake.behaviour.contentDigest = value
    await t.rejects(client.manifest(name, latest), upstreamError('invalid'), why)
    await t.rejects(client.manifest(name, digestReference(digest)), upstreamError('invalid'), why)
  }

  fake.behaviour.contentDigest = false
  fake.addManifest(name, 'swapped', index, mediaTypes.ociIndex)
  fake.failNext({ status: 302, headers: { Location: `/v2/${name}/manifests/swapped` } })
  await t.rejects(client.manifest(name, digestReference(digest)), upstreamError('invalid'), 'other bytes')
})

t.test('manifest() rejects what is no manifest, or not of the type told', async t => {
  const { fake, client } = await startClient(t)
  const cases: readonly (readonly [content: Uint8Array | object, mediaType: string, why: string])[] = [
    [Buffer.from('<html>'), mediaTypes.ociManifest, 'not JSON'],
    [{ schemaVersion: 1, fsLayers: [] }, 'application/json', 'schema 1'],
    [index, mediaTypes.ociManifest, 'index told to be a manifest'],
    [Buffer.alloc(maxManifestBytes + 1, ' '), mediaTypes.ociManifest, 'too long'],
  ]
  for (const [content, mediaType, why] of cases) {
    fake.addManifest(name, 'latest', content, mediaType)
    for (const chunked of [false, true]) {
      fake.behaviour.chunked = chunked
      await t.rejects(client.manifest(name, latest), upstreamError('invalid'), why)
    }
  }
})

t.test('manifest() rejects with the reason of the signal', async t => {
  const { fake, client } = await startClient(t)
  fake.addManifest(name, 'latest', image)
  const controller = new AbortController()
  fake.hold('headers')

  const asking = client.manifest(name, latest, { signal: controller.signal })
  await fake.held()
  controller.abort(new Error('client has gone'))

  await t.rejects(asking, { message: 'client has gone' })
})

t.test('manifest() returns the bytes as they are, for a tag and for its digest', async t => {
  const { fake, client } = await startClient(t)
  const bytes = Buffer.from(` ${JSON.stringify(image, null, 3)}\n`)
  const digest = fake.addManifest(name, 'latest', bytes)
  for (const contentDigest of [true, false, 'md5:d41d8cd98f00b204e9800998ecf8427e']) {
    fake.behaviour.contentDigest = contentDigest
    for (const reference of [latest, digestReference(digest)]) {
      const manifest = await client.manifest(name, reference)

      t.ok(manifest !== 'unchanged' && manifest.bytes.equals(bytes))
      t.match(manifest, { descriptor: { mediaType: mediaTypes.ociManifest, digest, size: bytes.length } })
    }
  }
  t.equal(
    fake.requests[0]?.headers.accept,
    'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, ' +
      'application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json',
  )
  t.equal(fake.count(/^HEAD/), 0)
})

t.test('manifest() finds the media type in the bytes where the header names none of a manifest', async t => {
  const { fake, client } = await startClient(t)
  for (const [content, told, expected] of [
    [index, 'application/json', mediaTypes.ociIndex],
    [image, 'text/plain; charset=utf-8', mediaTypes.ociManifest],
    [image, `${mediaTypes.dockerManifest}; charset=utf-8`, mediaTypes.dockerManifest],
  ] as const) {
    fake.addManifest(name, 'latest', content, told)
    t.match(await client.manifest(name, latest), { descriptor: { mediaType: expected } }, told)
  }
})

t.test('manifest() keeps to the digest algorithm of the upstream', async t => {
  const { fake, client } = await startClient(t)
  const bytes = Buffer.from(JSON.stringify(image))
  const digest = digestOf(bytes, 'sha512')
  fake.addManifest(name, 'latest', bytes)
  fake.behaviour.contentDigest = digest

  t.match(await client.manifest(name, latest), { descriptor: { digest } })
  t.equal(await client.manifest(name, latest, { known: digest }), 'unchanged')
})

t.test('manifest() with a known digest asks with HEAD and is content with it', async t => {
  const { fake, client, counted } = await startClient(t)
  const known = fake.addManifest(name, 'latest', image)

  t.equal(await client.manifest(name, latest, { known }), 'unchanged')
  t.equal(fake.count(/^GET/), 0)
  t.same(await counted('manifest_stat'), { 200: 1 })

  const digest = fake.addManifest(name, 'latest', index, mediaTypes.ociIndex)
  t.match(await client.manifest(name, latest, { known }), { descriptor: { digest } })
  t.equal(fake.requests.at(-1)?.path, `/v2/${name}/manifests/latest`, 'GET by tag: one consistent answer')
})

t.test('manifest() with a known digest compares by GET where HEAD tells nothing', async t => {
  const { fake, client } = await startClient(t)
  const known = fake.addManifest(name, 'latest', image)
  fake.behaviour.headRefused = true
  t.equal(await client.manifest(name, latest, { known }), 'unchanged', '405')
  fake.behaviour.headRefused = false
  fake.behaviour.contentDigest = false
  t.equal(await client.manifest(name, latest, { known }), 'unchanged', 'no digest header')

  const digest = fake.addManifest(name, 'latest', index, mediaTypes.ociIndex)
  t.match(await client.manifest(name, latest, { known }), { descriptor: { digest } })
})

t.test('statManifest() fails as the upstream answers', async t => {
  const { fake, client } = await startClient(t)

  await t.rejects(client.statManifest(name, latest), upstreamError('unknown'))
  fake.failNext({ status: 429, headers: { 'Retry-After': '5' } })
  await t.rejects(client.statManifest(name, latest), upstreamError('limited', { retryAfterMs: 5000 }))
})

t.test('statManifest() is one HEAD, or a GET where HEAD does not tell it all', async t => {
  const { fake, client } = await startClient(t)
  const digest = fake.addManifest(name, 'latest', image)
  const expected = { mediaType: mediaTypes.ociManifest, digest, size: JSON.stringify(image).length }

  t.same(await client.statManifest(name, latest), expected)
  t.equal(fake.count(/^GET/), 0)

  fake.behaviour.contentDigest = false
  t.same(
    await client.statManifest(name, digestReference(digest)),
    expected,
    'by digest the header is not needed',
  )
  t.equal(fake.count(/^GET/), 0)
  t.same(await client.statManifest(name, latest), expected, 'by tag it is')
  t.equal(fake.count(/^GET/), 1)
  fake.behaviour.headRefused = true
  t.same(await client.statManifest(name, latest), expected, '405')
  fake.behaviour.headRefused = false
  fake.behaviour.contentDigest = digestOf(Buffer.from('other'))
  await t.rejects(
    client.statManifest(name, digestReference(digest)),
    upstreamError('invalid'),
    'contradiction',
  )
  fake.behaviour.contentDigest = true
  fake.behaviour.chunked = true
  t.same(await client.statManifest(name, latest), expected, 'no length')
})
