// A mirror that never asks its upstream: what is here is served however old it is, and trouble is never taken for absence.
import t, { type Test } from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference, parseTag } from '../../lib/oci/reference.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, content, pull, startMirror } from '../support/mirror.ts'
import { latest, moveTag, pullTag, pushTag } from '../support/tagged.ts'

/** A mirror with one tag and one blob, started again without its network. */
async function start(t: Test) {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  const digest = moveTag(mirror, 'one')
  const blob = mirror.upstream.addBlob(app, content(1000))
  await pullTag(mirror.repository)
  await pull(mirror, blob)
  const asked = mirror.upstream.requests.length
  const { registry, repository } = mirror.restart({ offline: true })
  return { ...mirror, clock, digest, blob, asked, registry, repository }
}

t.test('offline, what is not here is trouble, not absence', async t => {
  const { asked, repository, upstream } = await start(t)
  const nowhere = digestOf(Buffer.from('nowhere'))
  const trouble = { name: 'UpstreamError', code: 'UNAVAILABLE', message: /offline/ }

  await t.rejects(pullTag(repository, parseTag('other')), trouble)
  await t.rejects(repository.manifests.get(digestReference(nowhere)), trouble)
  await t.rejects(repository.blobs.open(nowhere), trouble)

  t.equal(upstream.requests.length, asked)
})

t.test('offline, what is here is served, and marked when its time is over', async t => {
  const { asked, blob, clock, digest, repository, upstream } = await start(t)

  t.match(await pullTag(repository), { digest, cache: 'HIT' })
  clock.advance(3_600_000)
  t.match(await pullTag(repository), { digest, cache: 'STALE', stale: 'offline', ageMs: 3_600_000 })
  t.match(await repository.manifests.get(digestReference(digest)), { cache: 'HIT' })
  t.match(await repository.blobs.open(blob), { kind: 'bytes', size: 1000 })
  t.match(await repository.tags.list({}), { items: ['latest'], stale: /unavailable/ })
  t.match(await repository.referrers.list(digest, {}, {}), { items: [], stale: /unavailable/ })

  t.equal(upstream.requests.length, asked)
})

t.test('offline, pushes go on', async t => {
  const { repository } = await start(t)

  const { digest, mediaType } = await pushTag(repository, 'ours', parseTag('ours'))

  t.equal(mediaType, mediaTypes.ociIndex)
  t.same(await pullTag(repository, parseTag('ours')), { digest })
})

t.test('offline, refresh() is trouble', async t => {
  const { registry, repository } = await start(t)

  await t.rejects(registry.refresh(app, latest), { message: /offline/ })
  t.match(await pullTag(repository), { cache: 'HIT' })
})
