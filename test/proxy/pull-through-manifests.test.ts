import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { ManifestUnknownError } from '../../lib/oci/errors.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference, parseReference, parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createTagPolicy } from '../../lib/registry/tag-policy.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, startMirror, type Mirror } from '../support/mirror.ts'

const latest = parseTag('latest')
const heads = /^HEAD .*\/manifests\//
const gets = /^GET .*\/manifests\//

/** An index without children: a manifest that refers to nothing, different for each `note`. */
function manifest(note: string) {
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], annotations: { note } }
}

async function push(mirror: Mirror, note: string) {
  const bytes = Buffer.from(JSON.stringify(manifest(note)))
  return mirror.repository.manifests.put(bytes, mediaTypes.ociIndex, tagReference(latest))
}

t.test('get() passes the upstream’s "unknown" on as ManifestUnknownError, by tag and by digest', async t => {
  const mirror = await startMirror(t)

  await t.rejects(mirror.repository.manifests.get(tagReference(latest)), ManifestUnknownError)
  await t.rejects(
    mirror.repository.manifests.get(digestReference(digestOf(Buffer.from('x')))),
    ManifestUnknownError,
  )
})

t.test('get() throws UpstreamError when the upstream is in trouble and there is no copy', async t => {
  const mirror = await startMirror(t)
  mirror.upstream.failNext({ status: 503, times: 10 })

  await t.rejects(mirror.repository.manifests.get(tagReference(latest)), UpstreamError)
})

t.test('get() refuses a manifest whose bytes are not the digest asked for, and stores nothing', async t => {
  const mirror = await startMirror(t, { contentDigest: false })
  const digest = digestOf(Buffer.from('something else'))
  mirror.upstream.addManifest(app, digest, manifest('forged'), mediaTypes.ociIndex)

  await t.rejects(mirror.repository.manifests.get(digestReference(digest)), UpstreamError)
  t.equal(await mirror.stores.manifests.get(app, digest), undefined)
})

t.test('get() fetches a tag once, verbatim, and serves it without asking while it is fresh', async t => {
  const mirror = await startMirror(t)
  const bytes = Buffer.from(`  ${JSON.stringify(manifest('one'), null, 3)}\n`)
  mirror.upstream.addManifest(app, 'latest', bytes, mediaTypes.ociIndex)

  const first = await mirror.repository.manifests.get(tagReference(latest))
  const second = await mirror.repository.manifests.get(tagReference(latest))
  const byDigest = await mirror.repository.manifests.get(digestReference(first.descriptor.digest))

  t.ok(first.bytes.equals(bytes))
  t.match(first.descriptor, { mediaType: mediaTypes.ociIndex, digest: digestOf(bytes), size: bytes.length })
  t.ok(second.bytes.equals(bytes) && byDigest.bytes.equals(bytes))
  t.equal(mirror.upstream.requests.length, 1)
})

t.test('get() asks with HEAD when a tag’s time is over, and fetches only what has moved', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, tagTtlMs: 1000 })
  mirror.upstream.addManifest(app, 'latest', manifest('one'), mediaTypes.ociIndex)
  const first = await mirror.repository.manifests.get(tagReference(latest))

  clock.advance(1001)
  const same = await mirror.repository.manifests.get(tagReference(latest))
  t.equal(same.descriptor.digest, first.descriptor.digest)
  t.equal(mirror.upstream.count(heads), 1)
  t.equal(mirror.upstream.count(gets), 1)
  await mirror.repository.manifests.get(tagReference(latest))
  t.equal(mirror.upstream.requests.length, 2, 'fresh again')

  const moved = mirror.upstream.addManifest(app, 'latest', manifest('two'), mediaTypes.ociIndex)
  clock.advance(1001)
  const second = await mirror.repository.manifests.get(tagReference(latest))

  t.equal(second.descriptor.digest, moved)
  t.equal(await mirror.stores.tags.resolve(app, latest), moved)
})

t.test('get() shares one question between concurrent requests for a tag', async t => {
  const mirror = await startMirror(t)
  mirror.upstream.addManifest(app, 'latest', manifest('one'), mediaTypes.ociIndex)
  mirror.upstream.hold('headers')
  const asking = Array.from({ length: 20 }, () => mirror.repository.manifests.get(tagReference(latest)))
  await mirror.upstream.held()
  mirror.upstream.release()

  await Promise.all(asking)

  t.equal(mirror.upstream.requests.length, 1)
})

t.test('get() serves the stale copy when the upstream is down, limits us or answers nonsense', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, tagTtlMs: 1000 })
  mirror.upstream.addManifest(app, 'latest', manifest('one'), mediaTypes.ociIndex)
  const first = await mirror.repository.manifests.get(tagReference(latest))

  for (const status of [500, 503, 429, 401, 'reset'] as const) {
    clock.advance(70_000) // Longer than a 429 without Retry-After keeps us from asking.
    mirror.upstream.failNext({ status, times: 4 })
    const stale = await mirror.repository.manifests.get(tagReference(latest))
    t.equal(stale.descriptor.digest, first.descriptor.digest, `${status}`)
    t.match(stale.stale, /127\.0\.0\.1/)
    await mirror.repository.manifests.get(parseReference(first.descriptor.digest))
    while (mirror.upstream.pendingFailures > 0)
      await mirror.client.statManifest(app, tagReference(latest)).catch(() => {})
  }
})

t.test('get() passes on that a tag is gone upstream, and keeps the copy', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, tagTtlMs: 1000 })
  const digest = mirror.upstream.addManifest(app, 'latest', manifest('one'), mediaTypes.ociIndex)
  await mirror.repository.manifests.get(tagReference(latest))
  mirror.upstream.removeManifest(app, 'latest')
  clock.advance(2000)

  await t.rejects(mirror.repository.manifests.get(tagReference(latest)), ManifestUnknownError)

  t.equal((await mirror.repository.manifests.get(digestReference(digest))).descriptor.digest, digest)
})

t.test('put() makes a tag ours: the upstream is not asked for it and never moves it', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, tagTtlMs: 0 })
  mirror.upstream.addManifest(app, 'latest', manifest('upstream'), mediaTypes.ociIndex)
  await mirror.repository.manifests.get(tagReference(latest))
  const asked = mirror.upstream.requests.length

  const pushed = await push(mirror, 'ours')
  clock.advance(1_000_000)

  t.equal((await mirror.repository.manifests.get(tagReference(latest))).descriptor.digest, pushed.digest)
  t.equal(mirror.upstream.requests.length, asked)
})

t.test('put() of the very digest that was mirrored makes the tag ours as well', async t => {
  const mirror = await startMirror(t, { tagTtlMs: 0 })
  mirror.upstream.addManifest(app, 'latest', manifest('same'), mediaTypes.ociIndex)
  const mirrored = await mirror.repository.manifests.get(tagReference(latest))
  await push(mirror, 'same')
  mirror.upstream.addManifest(app, 'latest', manifest('moved'), mediaTypes.ociIndex)

  t.equal(
    (await mirror.repository.manifests.get(tagReference(latest))).descriptor.digest,
    mirrored.descriptor.digest,
  )
})

t.test('put() while the upstream is being asked wins over what the upstream answers', async t => {
  const mirror = await startMirror(t)
  mirror.upstream.addManifest(app, 'latest', manifest('upstream'), mediaTypes.ociIndex)
  mirror.upstream.hold('headers')
  const asking = mirror.repository.manifests.get(tagReference(latest))
  await mirror.upstream.held()

  const pushed = await push(mirror, 'ours')
  mirror.upstream.release()
  await asking

  t.equal(await mirror.stores.tags.resolve(app, latest), pushed.digest)
  t.equal((await mirror.repository.manifests.get(tagReference(latest))).descriptor.digest, pushed.digest)
})

t.test('put() brings blobs that the pusher skipped because the upstream has them', async t => {
  const mirror = await startMirror(t)
  const layer = mirror.upstream.addBlob(app, Buffer.from('layer'))
  const config = mirror.upstream.addBlob(app, Buffer.from('{}'))
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config, size: 2 },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: 5 }],
    }),
  )

  const { digest } = await mirror.repository.manifests.put(
    bytes,
    mediaTypes.ociManifest,
    tagReference(latest),
  )

  t.equal(digest, digestOf(bytes))
  t.match(await mirror.local.repository(app).blobs.stat(layer), { size: 5 })
})

t.test('a mirrored tag whose move was cut short by a crash is still the upstream’s', async t => {
  const mirror = await startMirror(t)
  const one = mirror.upstream.addManifest(app, 'latest', manifest('one'), mediaTypes.ociIndex)
  await mirror.repository.manifests.get(tagReference(latest))
  const two = mirror.upstream.addManifest(app, 'latest', manifest('two'), mediaTypes.ociIndex)
  // The record was written, the link was not.
  await mirror.mirroredTags.set(app, latest, {
    digest: two,
    previous: one,
    upstream: 'x',
    checkedAtMs: Date.now(),
  })

  t.equal((await mirror.repository.manifests.get(tagReference(latest))).descriptor.digest, two)
})

t.test('names without a slash are official images at Docker Hub, and share one copy', async t => {
  const mirror = await startMirror(t, { upstreamHost: 'registry-1.docker.io' })
  const digest = mirror.upstream.addManifest(
    'library/nginx',
    'latest',
    manifest('nginx'),
    mediaTypes.ociIndex,
  )

  const short = await mirror.registry
    .repository(parseRepositoryName('nginx'))
    .manifests.get(tagReference(latest))
  const long = await mirror.registry
    .repository(parseRepositoryName('library/nginx'))
    .manifests.get(tagReference(latest))

  t.equal(short.descriptor.digest, digest)
  t.equal(long.descriptor.digest, digest)
  t.equal(mirror.upstream.requests.length, 1)
})

t.test('put() makes every tag that it sets ours, which the upstream does not move', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  mirror.upstream.addManifest(app, 'latest', manifest('theirs'), mediaTypes.ociIndex)
  await mirror.repository.manifests.get(tagReference(latest))
  const bytes = Buffer.from(JSON.stringify(manifest('ours')))
  const reference = digestReference(digestOf(bytes))

  await mirror.repository.manifests.put(bytes, mediaTypes.ociIndex, reference, {
    tags: [latest, parseTag('other')],
  })
  clock.advance(3_600_000)

  for (const tag of [latest, parseTag('other')]) {
    t.same((await mirror.repository.manifests.get(tagReference(tag))).bytes, bytes)
    t.equal(await mirror.mirroredTags.get(app, tag), undefined)
  }
})

t.test('get() follows a mirrored tag that moves, be pushes to it refused', async t => {
  const clock = new ManualClock()
  const tagPolicy = createTagPolicy([{ repository: undefined, tags: ['latest'] }])
  const mirror = await startMirror(t, { clock, tagPolicy })
  const served = async () => (await mirror.repository.manifests.get(tagReference(latest))).bytes
  const bytesOf = (note: string) => Buffer.from(JSON.stringify(manifest(note)))
  mirror.upstream.addManifest(app, 'latest', bytesOf('before'), mediaTypes.ociIndex)
  t.same(await served(), bytesOf('before'))

  mirror.upstream.addManifest(app, 'latest', bytesOf('after'), mediaTypes.ociIndex)
  clock.advance(3_600_000)

  t.same(await served(), bytesOf('after'))
  await t.rejects(push(mirror, 'ours'), { name: 'TagImmutableError' })
  t.same(await served(), bytesOf('after'))
})

t.test('get() mirrors a manifest of an unknown type that names itself', async t => {
  const mirror = await startMirror(t)
  const mediaType = 'application/vnd.oci.artifact.manifest.v1+json'
  const bytes = Buffer.from(JSON.stringify({ mediaType, artifactType: 'application/x' }))
  mirror.upstream.addManifest(app, 'latest', bytes, mediaType)

  const { descriptor } = await mirror.repository.manifests.get(tagReference(latest))

  t.same(descriptor, { mediaType, digest: digestOf(bytes), size: bytes.length })
})

t.test('get() refuses a manifest that calls itself HTML', async t => {
  const mirror = await startMirror(t)
  const bytes = Buffer.from(JSON.stringify({ mediaType: 'text/html', x: '<script>' }))
  mirror.upstream.addManifest(app, 'latest', bytes, 'text/html')

  await t.rejects(mirror.repository.manifests.get(tagReference(latest)), UpstreamError)
})
