// What is pushed claims what it needs: mirrored content that something pushed refers to is never evicted from then on.
import t from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { createRemoval } from '../../lib/eviction/removal.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { BlobUnknownError, ReferencesUnknownError } from '../../lib/oci/errors.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { createLocalRegistry, type Stores } from '../../lib/registry/local.ts'
import { InMemoryDriver } from '../../lib/storage/driver/inmemory/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createMirroredTags } from '../../lib/storage/mirrored-tags.ts'
import { parseStoragePath } from '../../lib/storage/driver/path.ts'
import { unlessAbsent } from '../../lib/storage/driver/unless-absent.ts'
import { inSomeOrders } from '../support/every-order.ts'
import { createStores, hooked, onEachDriver } from '../support/stores.ts'
import { app, indexOver, manifestOver, other, pushBlob, tagged, uploadsOf } from './suite/content.ts'

const layer = Buffer.from('a mirrored layer')
const config = Buffer.from('{}')
const entry = (bytes: Buffer) => ({
  mediaType: mediaTypes.octetStream,
  digest: digestOf(bytes),
  size: bytes.length,
})
const image = manifestOver([entry(config), entry(layer)])
const fetched = parseStoragePath('/docker/registry/v2/_fills/one/data')

async function fetch({ driver, blobs, links }: Stores, bytes: Buffer): Promise<void> {
  await driver.writeAll(fetched, bytes)
  await blobs.adopt(fetched, digestOf(bytes), bytes.length, { mirrored: app })
  await links.link(app, 'layer', digestOf(bytes))
}

async function evictAll(stores: Stores): Promise<void> {
  const remove = createRemoval({ stores, mirroredTags: createMirroredTags(stores.driver, 10) })
  for (const mirrored of [...stores.mirroredContent.entries()]) await remove(mirrored, () => true)
}

function localOver(stores: Stores) {
  return createLocalRegistry(stores, { allowDelete: true }).repository(app)
}

onEachDriver(
  t,
  'ManifestService.put() is refused what was evicted after its pusher had skipped it',
  async (t, driver) => {
    const stores = createStores(driver)
    const repository = localOver(stores)
    await pushBlob(repository, config)
    await fetch(stores, layer)
    await repository.blobs.stat(digestOf(layer))
    await evictAll(stores)

    await t.rejects(
      repository.manifests.put(image, mediaTypes.ociManifest, tagged('latest')),
      new ReferencesUnknownError([digestOf(layer)]),
    )
  },
)

onEachDriver(t, 'UploadService.mount() finds nothing that was evicted', async (t, driver) => {
  const stores = createStores(driver)
  await fetch(stores, layer)
  await evictAll(stores)
  const repository = createLocalRegistry(stores, { allowDelete: true }).repository(other)

  await t.rejects(uploadsOf(repository).mount(digestOf(layer), app), BlobUnknownError)
})

onEachDriver(t, 'ManifestService.put() claims config and layers', async (t, driver) => {
  const stores = createStores(driver)
  const repository = localOver(stores)
  for (const bytes of [config, layer]) await fetch(stores, bytes)
  t.equal(stores.mirroredContent.usedBytes, config.length + layer.length)

  await repository.manifests.put(image, mediaTypes.ociManifest, tagged('latest'))
  await evictAll(stores)

  t.equal(stores.mirroredContent.count, 0)
  t.equal((await repository.blobs.stat(digestOf(layer))).size, layer.length)
})

onEachDriver(
  t,
  'ManifestService.put() of an index claims children and what they refer to',
  async (t, driver) => {
    const stores = createStores(driver)
    const repository = localOver(stores)
    for (const bytes of [config, layer]) await fetch(stores, bytes)
    const inner = indexOver([image])
    for (const bytes of [image, inner]) {
      await stores.manifests.store(app, bytes, digestOf(bytes), { mirrored: true })
    }
    t.equal(stores.mirroredContent.count, 4)

    await repository.manifests.put(indexOver([inner]), mediaTypes.ociIndex, tagged('latest'))

    t.equal(stores.mirroredContent.count, 0)
  },
)

onEachDriver(t, 'UploadService.mount() claims the blob, as a push of it does', async (t, driver) => {
  const stores = createStores(driver)
  for (const bytes of [config, layer]) await fetch(stores, bytes)

  await uploadsOf(createLocalRegistry(stores, { allowDelete: true }).repository(other)).mount(
    digestOf(layer),
    app,
  )
  await pushBlob(localOver(stores), config)
  await evictAll(stores)

  for (const bytes of [config, layer]) t.equal((await stores.blobs.stat(digestOf(bytes))).size, bytes.length)
})

for (const isThere of [true, false]) {
  void t.test(
    `a pushed manifest keeps a layer that is ${isThere ? '' : 'being fetched and '}evicted, in any order`,
    async t => {
      await inSomeOrders(async step => {
        const driver = new InMemoryDriver(systemClock)
        const stores = createStores(hooked(driver, step))
        const repository = localOver(stores)
        await stores.mirroredContent.loaded()
        await pushBlob(repository, config)
        if (isThere) await fetch(stores, layer)
        return {
          tasks: {
            push: () => repository.manifests.put(image, mediaTypes.ociManifest, tagged('latest')),
            ...(!isThere && { fill: () => fetch(stores, layer) }),
            evict: () => evictAll(stores),
          },
          async check(done, trace) {
            if (!done.has('push')) return
            const file = await unlessAbsent(() => driver.stat(layout.blobContent(digestOf(layer))))
            if (file === undefined) t.fail('the layer is there', { trace })
            if (stores.mirroredContent.get(digestOf(layer))) t.fail('the layer is claimed', { trace })
          },
        }
      }, 150)

      t.pass()
    },
  )
}
