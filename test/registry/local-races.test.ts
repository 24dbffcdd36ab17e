// Pushes and deletions of one tag or manifest at the same time: whatever comes last, nothing is left half done.
import t from 'tap'
import { digestReference, parseTag } from '../../lib/oci/reference.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createStores, hold, hooked, onEachDriver, type DriverCall } from '../support/stores.ts'
import { app, pushManifest, tagged } from './suite/content.ts'

const latest = parseTag('latest')

onEachDriver(t, 'ManifestService.remove() leaves a tag that was pushed anew meanwhile', async (t, driver) => {
  const looked = hold()
  const goOn = hold()
  let isWatching = false
  const watched = hooked(driver, async ({ action, path, when }: DriverCall) => {
    const isLook = action === 'readAll' && path === layout.tagCurrent(app, latest)
    if (!isWatching || !isLook || when !== 'after') return
    isWatching = false
    looked.release()
    await goOn.released
  })
  const repository = createLocalRegistry(createStores(watched), { allowDelete: true }).repository(app)
  const old = await pushManifest(repository, 'latest', 'old')
  isWatching = true
  const removing = repository.manifests.remove?.(old.digest)
  await looked.released

  const pushed = await pushManifest(repository, 'latest', 'new')
  goOn.release()
  await removing

  t.equal((await repository.manifests.get(tagged('latest'))).descriptor.digest, pushed.digest)
  await t.rejects(repository.manifests.get(digestReference(old.digest)))
})

onEachDriver(
  t,
  'ManifestService.remove() during a push of the same manifest leaves no tag without it',
  async (t, driver) => {
    const tagging = hold()
    const goOn = hold()
    let isWatching = false
    const watched = hooked(driver, async ({ action, path, when }: DriverCall) => {
      const isTagging = action === 'writeAll' && path === layout.tagCurrent(app, latest)
      if (!isWatching || !isTagging || when !== 'before') return
      isWatching = false
      tagging.release()
      await goOn.released
    })
    const repository = createLocalRegistry(createStores(watched), { allowDelete: true }).repository(app)
    const { digest } = await pushManifest(repository, 'other', 'same')
    isWatching = true
    const pushing = pushManifest(repository, 'latest', 'same')
    await tagging.released

    const removing = repository.manifests.remove?.(digest)
    for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate)
    goOn.release()
    await Promise.all([pushing, removing])

    const { items } = await repository.tags.list({})
    for (const tag of items) t.ok(await repository.manifests.get(tagged(tag)))
  },
)

onEachDriver(
  t,
  'ManifestService.get() of a tag that moves meanwhile finds what it means now',
  async (t, driver) => {
    const looked = hold()
    const goOn = hold()
    let isWatching = false
    const watched = hooked(driver, async ({ action, path, when }: DriverCall) => {
      const isLook = action === 'readAll' && path === layout.tagCurrent(app, latest)
      if (!isWatching || !isLook || when !== 'after') return
      isWatching = false
      looked.release()
      await goOn.released
    })
    const repository = createLocalRegistry(createStores(watched), { allowDelete: true }).repository(app)
    const old = await pushManifest(repository, 'latest', 'old')
    isWatching = true
    const getting = repository.manifests.get(tagged('latest'))
    await looked.released

    const pushed = await pushManifest(repository, 'latest', 'new')
    await repository.manifests.remove?.(old.digest)
    goOn.release()

    t.equal((await getting).descriptor.digest, pushed.digest)
  },
)
