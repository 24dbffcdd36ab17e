// What operators are told of mirrored content.
import t from 'tap'
import { createInventory } from '../../lib/eviction/inventory.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseTag } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { manifestOf, mirrorManifest, openMirrorWorld } from '../support/mirrored-images.ts'
import { onEachDriver } from '../support/stores.ts'

const nginx = parseRepositoryName('library/nginx')
const app = parseRepositoryName('ghcr.io/team/app')

onEachDriver(t, 'Inventory of nothing', async (t, driver) => {
  const inventory = createInventory(await openMirrorWorld(t, driver, { clock: new ManualClock() }))

  t.match(await inventory.stats(), {
    limits: undefined,
    usedBytes: 0,
    pinnedBytes: 0,
    entries: 0,
    isComplete: true,
  })
  t.same(await inventory.list(), [])
  t.same(inventory.du(), { totalBytes: 0, repositories: [] })
})

onEachDriver(t, 'Inventory.list() tells images by tag, and by digest what has none', async (t, driver) => {
  const clock = new ManualClock()
  const world = await openMirrorWorld(t, driver, { clock, pinned: ['library/nginx:1.0'] })
  const one = await world.image(nginx, '1.0', ['base', 'one'])
  const two = await world.image(app, 'latest', ['base', 'two'])
  const bytes = manifestOf([one.manifest, two.manifest], 'index')
  const index = await mirrorManifest(world.stores, app, bytes)
  const pushed = manifestOf([])
  await world.stores.manifests.store(app, pushed, digestOf(pushed))
  await world.stores.tags.set(app, parseTag('pushed'), digestOf(pushed))
  const startMs = clock.now()
  clock.advance(5000)
  world.evictor.used(two.manifest)

  const images = await createInventory(world).list()

  const usedMs = startMs + 5000
  t.same(images, [
    {
      repository: app,
      tag: undefined,
      digest: index,
      sizeBytes: one.size + two.size - 4 + bytes.length,
      lastUsedAtMs: usedMs,
      isPinned: false,
    },
    {
      repository: app,
      tag: 'latest',
      digest: two.manifest,
      sizeBytes: two.size,
      lastUsedAtMs: usedMs,
      isPinned: false,
    },
    {
      repository: nginx,
      tag: '1.0',
      digest: one.manifest,
      sizeBytes: one.size,
      lastUsedAtMs: startMs,
      isPinned: true,
    },
  ])
})

onEachDriver(
  t,
  'Inventory.du() counts to each repository what they share, and once in all',
  async (t, driver) => {
    const clock = new ManualClock()
    const limits = { maxBytes: 10_000, highBytes: 9000, lowBytes: 8000 }
    const world = await openMirrorWorld(t, driver, { clock, limits, pinned: ['library/nginx'] })
    const one = await world.image(nginx, '1.0', ['base', 'one'])
    const two = await world.image(app, 'latest', ['base', 'two'])
    await world.evictor.makeRoom(50, { digest: digestOf(Buffer.from('to come')) })
    const inventory = createInventory({ ...world, limits })

    t.same(inventory.du(), {
      totalBytes: one.size + two.size - 4,
      repositories: [
        { name: app, bytes: two.size, exclusiveBytes: two.size - 4 },
        { name: nginx, bytes: one.size, exclusiveBytes: one.size - 4 },
      ],
    })
    t.same(await inventory.stats(), {
      limits,
      usedBytes: one.size + two.size - 4,
      pinnedBytes: one.size,
      entries: 5,
      isComplete: true,
      reservedBytes: 50,
      evictedBytes: 0,
      evictedCount: 0,
    })
  },
)
