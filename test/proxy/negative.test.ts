// What an upstream says that it does not have: how long that is repeated, and what ends it.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { ManifestUnknownError } from '../../lib/oci/errors.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference, tagReference } from '../../lib/oci/reference.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, startMirror } from '../support/mirror.ts'
import { indexOf, latest, moveTag, pullTag, pushTag } from '../support/tagged.ts'

const bytes = Buffer.from(JSON.stringify(indexOf('later')))
const digest = digestOf(bytes)

for (const [what, reference] of [
  ['a tag', tagReference(latest)],
  ['a digest', digestReference(digest)],
] as const) {
  void t.test(`get() repeats that ${what} is unknown for half a minute`, async t => {
    const clock = new ManualClock()
    const mirror = await startMirror(t, { clock })
    const get = () => mirror.repository.manifests.get(reference)
    await t.rejects(get(), ManifestUnknownError)
    mirror.upstream.addManifest(app, 'latest', bytes, mediaTypes.ociIndex)

    clock.advance(29_999)
    await t.rejects(get(), ManifestUnknownError)
    t.equal(mirror.upstream.requests.length, 1)
    clock.advance(1)

    t.equal((await get()).descriptor.digest, digest)
  })

  void t.test(`get() asks each time for ${what} that it is refused: credentials may heal`, async t => {
    const mirror = await startMirror(t)
    mirror.upstream.addManifest(app, 'latest', bytes, mediaTypes.ociIndex)
    mirror.upstream.failNext({ status: 403 })
    const get = () => mirror.repository.manifests.get(reference)

    await t.rejects(get(), ManifestUnknownError)

    t.equal((await get()).descriptor.digest, digest)
  })
}

t.test('negativeTtlMs 0 repeats nothing', async t => {
  const mirror = await startMirror(t, { freshness: { negativeTtlMs: 0 } })
  await t.rejects(pullTag(mirror.repository), ManifestUnknownError)

  const later = moveTag(mirror, 'later')

  t.match(await pullTag(mirror.repository), { digest: later })
})

t.test('a digest that was called unknown is there as soon as it came by a tag, or by a push', async t => {
  for (const way of ['tag', 'push'] as const) {
    const mirror = await startMirror(t)
    await t.rejects(mirror.repository.manifests.get(digestReference(digest)), ManifestUnknownError)

    if (way === 'push') await pushTag(mirror.repository, 'later')
    else {
      moveTag(mirror, 'later')
      await pullTag(mirror.repository)
    }
    t.equal((await mirror.repository.manifests.get(digestReference(digest))).descriptor.digest, digest)
    // Nothing is left of the answer when the manifest has gone again.
    await mirror.stores.manifests.remove(app, digest)
    mirror.upstream.addManifest(app, undefined, bytes, mediaTypes.ociIndex)

    t.match(await mirror.repository.manifests.get(digestReference(digest)), { cache: 'MISS' })
  }
})

t.test('lists of a repository that is unknown are asked for once in half a minute', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  const { tags } = mirror.repository
  await t.rejects(tags.list({}), { code: 'NAME_UNKNOWN' })
  moveTag(mirror, 'one')
  await t.rejects(tags.list({}), { code: 'NAME_UNKNOWN' })
  t.equal(mirror.upstream.requests.length, 1)

  clock.advance(30_000)

  t.match(await tags.list({}), { items: ['latest'] })
})
