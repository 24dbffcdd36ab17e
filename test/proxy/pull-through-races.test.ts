// Tags that are pushed, deleted and moved upstream while others ask for them, and pushes that leave out what the
// upstream has.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { ReferencesUnknownError } from '../../lib/oci/errors.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference, parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import type { Repository } from '../../lib/registry/registry.ts'
import { createMirroredTags } from '../../lib/storage/mirrored-tags.ts'
import { app, startMirror } from '../support/mirror.ts'

const latest = parseTag('latest')
const short = parseRepositoryName('nginx')
const long = parseRepositoryName('library/nginx')

function manifest(note: string) {
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], annotations: { note } }
}

async function push(repository: Repository, note: string) {
  const bytes = Buffer.from(JSON.stringify(manifest(note)))
  return repository.manifests.put(bytes, mediaTypes.ociIndex, tagReference(latest))
}

const digestAt = async (repository: Repository) =>
  (await repository.manifests.get(tagReference(latest))).descriptor.digest

t.test('put() of the mirrored digest while the upstream says "unchanged" makes the tag ours', async t => {
  const mirror = await startMirror(t, { tagTtlMs: 0 })
  const same = mirror.upstream.addManifest(app, 'latest', manifest('same'), mediaTypes.ociIndex)
  await digestAt(mirror.repository)
  mirror.upstream.hold('headers')
  const asking = digestAt(mirror.repository)
  await mirror.upstream.held()

  await push(mirror.repository, 'same')
  mirror.upstream.release()
  await asking
  mirror.upstream.addManifest(app, 'latest', manifest('moved'), mediaTypes.ociIndex)

  t.equal(await digestAt(mirror.repository), same)
})

t.test('a push by another process makes the tag ours here, too', async t => {
  const mirror = await startMirror(t, { tagTtlMs: 0 })
  const same = mirror.upstream.addManifest(app, 'latest', manifest('same'), mediaTypes.ociIndex)
  await digestAt(mirror.repository)
  await createMirroredTags(mirror.driver).forget(app, latest)
  mirror.upstream.addManifest(app, 'latest', manifest('moved'), mediaTypes.ociIndex)

  t.equal(await digestAt(mirror.repository), same)
  const asked = mirror.upstream.requests.length
  t.equal(await digestAt(mirror.repository), same)
  t.equal(mirror.upstream.requests.length, asked, 'the upstream has no say any more')
})

t.test('a tag that goes back to where a move cut short by a crash began is fresh again', async t => {
  const mirror = await startMirror(t)
  const one = mirror.upstream.addManifest(app, 'latest', manifest('one'), mediaTypes.ociIndex)
  await digestAt(mirror.repository)
  const two = digestOf(Buffer.from('two'))
  await mirror.mirroredTags.set(app, latest, {
    digest: two,
    previous: one,
    upstream: 'x',
    checkedAtMs: Date.now(),
  })

  t.equal(await digestAt(mirror.repository), one)
  const asked = mirror.upstream.requests.length
  t.equal(await digestAt(mirror.repository), one)
  t.equal(mirror.upstream.requests.length, asked)
})

t.test('a push under the short name does not reach who asks for the long one', async t => {
  const mirror = await startMirror(t, { upstreamHost: 'docker.io' })
  const upstreams = mirror.upstream.addManifest(long, 'latest', manifest('upstream'), mediaTypes.ociIndex)
  mirror.upstream.hold('headers')
  const viaShort = digestAt(mirror.registry.repository(short))
  await mirror.upstream.held()
  const viaLong = digestAt(mirror.registry.repository(long))

  const { digest } = await push(mirror.registry.repository(short), 'ours')
  mirror.upstream.release()
  await viaShort

  t.equal(await viaLong, upstreams)
  t.equal(await digestAt(mirror.registry.repository(short)), digest)
})

t.test('a deleted tag is mirrored again, whether it was pushed or mirrored before', async t => {
  const mirror = await startMirror(t)
  const upstreams = mirror.upstream.addManifest(app, 'latest', manifest('upstream'), mediaTypes.ociIndex)
  await push(mirror.repository, 'ours')
  await mirror.repository.tags.remove?.(latest)

  t.equal(await digestAt(mirror.repository), upstreams)
  await mirror.repository.tags.remove?.(latest)
  t.equal(await digestAt(mirror.repository), upstreams)
  const { digest } = await push(mirror.repository, 'ours again')
  mirror.upstream.addManifest(app, 'latest', manifest('moved'), mediaTypes.ociIndex)
  t.equal(await digestAt(mirror.repository), digest)
})

t.test('put() brings the children of an index that only the upstream has', async t => {
  for (const [asked, known] of [
    [app, app],
    [short, long],
  ] as const) {
    const mirror = await startMirror(t, { upstreamHost: 'docker.io' })
    const child = mirror.upstream.addManifest(known, undefined, manifest('child'), mediaTypes.ociIndex)
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [{ mediaType: mediaTypes.ociIndex, digest: child, size: 1 }],
      }),
    )

    const repository = mirror.registry.repository(asked)
    const { digest } = await repository.manifests.put(index, mediaTypes.ociIndex, tagReference(latest))

    t.equal(digest, digestOf(index))
    t.ok(await mirror.local.repository(asked).manifests.get(digestReference(child)))
  }
})

t.test('put() names an index’s child that nobody has', async t => {
  const mirror = await startMirror(t)
  const child = digestOf(Buffer.from('nowhere'))
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [{ mediaType: mediaTypes.ociManifest, digest: child, size: 1 }],
    }),
  )

  await t.rejects(
    mirror.repository.manifests.put(index, mediaTypes.ociIndex, tagReference(latest)),
    ReferencesUnknownError,
  )
})

t.test('put() under a short name takes mirrored blobs without asking the upstream again', async t => {
  const mirror = await startMirror(t, { upstreamHost: 'docker.io' })
  const layer = mirror.upstream.addBlob(long, Buffer.from('layer'))
  const body = await mirror.registry.repository(long).blobs.open(layer)
  if (body.kind === 'bytes') for await (const _ of await body.read());
  const asked = mirror.upstream.requests.length
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      layers: [{ mediaType: mediaTypes.octetStream, digest: layer, size: 5 }],
    }),
  )

  const repository = mirror.registry.repository(short)
  await repository.manifests.put(bytes, mediaTypes.ociManifest, tagReference(latest))

  t.match(await mirror.local.repository(short).blobs.stat(layer), { size: 5 })
  t.equal(mirror.upstream.requests.length, asked)
})
