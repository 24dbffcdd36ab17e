// Immutable tags of a local registry: what they withstand, also at once.
import t from 'tap'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference, parseTag } from '../../lib/oci/reference.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import { createTagPolicy, TagImmutableError } from '../../lib/registry/tag-policy.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createStores, filesIn, onEachDriver } from '../support/stores.ts'
import { app, manifestOver, other, pushManifest, removeManifest, removeTag, tagged } from './suite/content.ts'

const tagPolicy = createTagPolicy([{ repository: 'suite/app', tags: ['v*'] }])

function open(driver: StorageDriver) {
  return createLocalRegistry(createStores(driver), { allowDelete: true, tagPolicy })
}

onEachDriver(
  t,
  'ManifestService.put() does not move an immutable tag, and stores nothing',
  async (t, driver) => {
    const repository = open(driver).repository(app)
    const { manifests } = repository
    const first = await pushManifest(repository, 'v1', 'first')
    const before = await filesIn(driver)
    const bytes = manifestOver([], 'second')
    const refused = {
      name: 'TagImmutableError',
      code: 'DENIED',
      detail: `tag "v1" is immutable: it points to ${first.digest}`,
    }

    await t.rejects(manifests.put(bytes, mediaTypes.ociManifest, tagged('v1')), refused)
    await t.rejects(
      manifests.put(bytes, mediaTypes.ociManifest, tagged('latest'), {
        tags: [parseTag('v2'), parseTag('v1')],
      }),
      refused,
    )

    t.same(await filesIn(driver), before)
    t.equal((await manifests.get(tagged('v1'))).descriptor.digest, first.digest)
  },
)

onEachDriver(
  t,
  'ManifestService.put() takes the same again, and moves what is not immutable',
  async (t, driver) => {
    const registry = open(driver)
    const [guarded, free] = [registry.repository(app), registry.repository(other)]

    t.same(await pushManifest(guarded, 'v1', 'same'), await pushManifest(guarded, 'v1', 'same'))
    for (const seed of ['one', 'two']) {
      await pushManifest(guarded, 'latest', seed)
      const { digest } = await pushManifest(free, 'v1', seed)
      t.equal(
        (await free.manifests.get(tagged('v1'))).descriptor.digest,
        digest,
        'a repository without rules',
      )
    }
  },
)

onEachDriver(t, 'an immutable tag cannot be deleted, alone or through its manifest', async (t, driver) => {
  const repository = open(driver).repository(app)
  const { digest } = await pushManifest(repository, 'v1', 'same')
  await pushManifest(repository, 'latest', 'same')

  await t.rejects(removeTag(repository, 'v1'), TagImmutableError)
  await t.rejects(removeManifest(repository, digest), TagImmutableError)
  await t.rejects(removeTag(repository, 'v2'), { code: 'MANIFEST_UNKNOWN' })

  t.same((await repository.tags.list({})).items, ['latest', 'v1'])
  await removeTag(repository, 'latest')
  const free = await pushManifest(repository, 'free')
  await removeManifest(repository, free.digest)
  t.same((await repository.tags.list({})).items, ['v1'])
})

onEachDriver(t, 'of pushes of a new immutable tag at once one wins, and stays', async (t, driver) => {
  const repository = open(driver).repository(app)
  const seeds = Array.from({ length: 8 }, (_, index) => `seed ${index}`)

  const outcomes = await Promise.allSettled(
    seeds.map((seed, index) =>
      repository.manifests.put(manifestOver([], seed), mediaTypes.ociManifest, tagged('v1'), {
        tags: index % 2 === 0 ? [parseTag('v2'), parseTag('latest')] : [parseTag('v0'), parseTag('v2')],
      }),
    ),
  )

  const won = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value.digest] : []))
  const lost = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  t.equal(won.length, 1)
  t.equal(lost.filter(reason => reason instanceof TagImmutableError).length, seeds.length - 1)
  for (const tag of ['v1', 'v2'])
    t.equal((await repository.manifests.get(tagged(tag))).descriptor.digest, won[0])
  t.equal((await repository.tags.list({})).items.length, 3, 'those who lost have set none of their tags')
})

onEachDriver(t, 'an immutable tag that is broken may be mended', async (t, driver) => {
  const repository = open(driver).repository(app)
  await pushManifest(repository, 'v1', 'before')
  await driver.writeAll(layout.tagCurrent(app, parseTag('v1')), Buffer.from('half a dig'))

  const { digest } = await pushManifest(repository, 'v1', 'after')

  t.equal((await repository.manifests.get(digestReference(digest))).descriptor.digest, digest)
  await t.rejects(removeTag(repository, 'v1'), TagImmutableError)
})
