// That a purge removes what was asked for and nothing that anybody else needs.
import t from 'tap'
import { createPurge } from '../../lib/eviction/purge.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { digestReference, parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { layout } from '../../lib/storage/layout.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { ManualClock } from '../support/manual-clock.ts'
import {
  manifestOf,
  mirrorManifest,
  openMirrorWorld,
  type MirrorWorldOptions,
} from '../support/mirrored-images.ts'
import { filesIn, onEachDriver } from '../support/stores.ts'

const nginx = parseRepositoryName('library/nginx')
const app = parseRepositoryName('ghcr.io/team/app')
const tagged = (tag: string) => tagReference(parseTag(tag))

async function open(
  t: Parameters<typeof openMirrorWorld>[0],
  driver: StorageDriver,
  options: Partial<MirrorWorldOptions> = {},
) {
  const clock = new ManualClock()
  const world = await openMirrorWorld(t, driver, { clock, ...options })
  const { stores, mirroredTags, recency, pins } = world
  const purge = createPurge({
    stores,
    mirroredTags,
    recency,
    pins,
    isFilling: options.isFilling ?? (() => false),
  })
  return {
    ...world,
    purge,
    has: (digest: string) => stores.mirroredContent.get(digest as never) !== undefined,
  }
}

onEachDriver(t, 'purge() of what is not here does nothing', async (t, driver) => {
  const { purge, image, has } = await open(t, driver)
  const one = await image(nginx, '1.0', ['one'])

  for (const [name, reference] of [
    [nginx, tagged('2.0')],
    [app, tagged('1.0')],
    [app, digestReference(one.manifest)],
    [nginx, digestReference(digestOf(Buffer.from('nothing')))],
    [app, undefined],
  ] as const) {
    t.same(await purge(name, reference), { removedBytes: 0, removedCount: 0, kept: [] })
  }
  t.ok(has(one.manifest))
})

onEachDriver(t, 'purge() never removes what was pushed', async (t, driver) => {
  const { purge, stores, tag } = await open(t, driver)
  const layer = Buffer.from('layer')
  const manifest = manifestOf([digestOf(layer)])
  await stores.blobs.put(layer, digestOf(layer))
  await stores.links.link(nginx, 'layer', digestOf(layer))
  await stores.manifests.store(nginx, manifest, digestOf(manifest))
  await stores.tags.set(nginx, parseTag('pushed'), digestOf(manifest))
  const before = await filesIn(driver)

  await purge(nginx, undefined, { force: true })
  await purge(nginx, tagged('pushed'))
  await purge(nginx, digestReference(digestOf(manifest)))

  t.same(await filesIn(driver), before)
  await tag(nginx, 'mirrored', digestOf(manifest))
})

onEachDriver(t, 'purge() of a tag leaves what other tags and manifests need', async (t, driver) => {
  const { purge, image, tag, stores, has } = await open(t, driver)
  const one = await image(nginx, '1.0', ['base', 'one'])
  const two = await image(nginx, '2.0', ['base', 'two'])
  await tag(nginx, 'latest', two.manifest)

  const outcome = await purge(nginx, tagged('1.0'))
  const kept = await purge(nginx, tagged('2.0'))

  t.equal(outcome.removedBytes, one.size - 4)
  t.same(outcome.kept, [{ digest: one.layers[0], reason: 'needed' }])
  t.equal(kept.removedCount, 0)
  t.same(await stores.tags.list(nginx), ['latest'])
  t.same([one.manifest, ...one.layers, two.manifest, ...two.layers].map(has), [
    false,
    true,
    false,
    true,
    true,
    true,
  ])
  t.equal((await stores.manifests.get(nginx, two.manifest))?.descriptor.digest, two.manifest)
})

onEachDriver(t, 'purge() of a tag that is an index removes all below it', async (t, driver) => {
  const { purge, image, tag, stores } = await open(t, driver)
  const [amd64, arm64] = [await image(nginx, 'amd64', ['a']), await image(nginx, 'arm64', ['b'])]
  const index = await mirrorManifest(stores, nginx, manifestOf([amd64.manifest, arm64.manifest], 'index'))
  await tag(nginx, 'latest', index)
  for (const name of ['amd64', 'arm64']) await stores.tags.remove(nginx, parseTag(name))

  const { kept } = await purge(nginx, tagged('latest'))

  t.same(kept, [])
  t.equal(stores.mirroredContent.count, 0)
  t.same(
    (await filesIn(driver)).filter(path => !path.startsWith('/_mirror/library/')),
    [],
  )
})

onEachDriver(
  t,
  'purge() of a digest takes its tags along, but not from another repository',
  async (t, driver) => {
    const { purge, image, stores, has } = await open(t, driver)
    const one = await image(nginx, '1.0', ['one'])
    const shared = await image(nginx, 'shared', ['shared'])
    await image(app, 'shared', ['shared'])

    await purge(nginx, digestReference(one.manifest))
    await purge(nginx, digestReference(shared.manifest))

    t.equal(has(one.manifest), false)
    t.ok(has(shared.manifest))
    t.same(await stores.tags.list(app), ['shared'])
    t.notOk((await stores.tags.list(nginx))?.includes(parseTag('1.0')))
  },
)

onEachDriver(t, 'purge() of a repository leaves to others what they share', async (t, driver) => {
  const { purge, image, stores, has } = await open(t, driver)
  const one = await image(nginx, '1.0', ['base', 'one'])
  const same = await image(nginx, 'same', ['same'])
  const two = await image(app, 'latest', ['base', 'two'])
  await image(app, 'same', ['same'])

  await purge(nginx, undefined)

  t.equal(has(one.manifest), false)
  for (const digest of [two.manifest, ...two.layers, same.manifest, ...same.layers]) {
    t.same(stores.mirroredContent.get(digest)?.repositories, [app])
    t.equal(await stores.links.resolve(nginx, 'layer', digest), undefined)
  }
  t.equal(await stores.manifests.get(nginx, same.manifest), undefined)
  t.ok(await stores.manifests.get(app, same.manifest))
  t.same(await stores.tags.list(nginx), [])
  t.notOk((await filesIn(driver)).some(path => path.startsWith('/repositories/library')))
})

onEachDriver(t, 'purge() leaves what is pinned, unless by force', async (t, driver) => {
  const { purge, image, stores } = await open(t, driver, { pinned: ['library/nginx:1.0'] })
  const one = await image(nginx, '1.0', ['one'])
  const digests = [one.manifest, ...one.layers]

  for (const reference of [undefined, tagged('1.0'), digestReference(one.manifest)]) {
    const { kept } = await purge(nginx, reference)
    t.same(
      kept.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
      digests.toSorted().map(digest => ({ digest, reason: 'pinned' })),
    )
  }
  t.same(await stores.tags.list(nginx), ['1.0'])

  t.equal((await purge(nginx, tagged('1.0'), { force: true })).removedBytes, one.size)
  t.same(await stores.tags.list(nginx), [])
})

onEachDriver(t, 'purge() leaves what is being read or fetched', async (t, driver) => {
  const filled = digestOf(Buffer.from('filled'))
  const { purge, image, stores } = await open(t, driver, { isFilling: digest => digest === filled })
  const one = await image(nginx, '1.0', ['read', 'filled'])
  const stream = await stores.blobs.read(digestOf(Buffer.from('read')))

  const { kept } = await purge(nginx, tagged('1.0'))
  stream.destroy()

  t.same(kept.map(({ digest }) => digest).toSorted(), [...one.layers].toSorted())
  t.ok(kept.every(({ reason }) => reason === 'used'))
  t.equal(await driver.stat(layout.blobContent(filled)).then(({ size }) => size), 6)
})
