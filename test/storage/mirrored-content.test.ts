// What is known of mirrored content, in memory and after a restart, and what of it survives bad luck.
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { MirroredContent } from '../../lib/storage/mirrored-content.ts'
import { faultyDriver } from '../support/faulty-driver.ts'
import { manifestOf, mirrorBlob, mirrorManifest, silent } from '../support/mirrored-images.ts'
import { createStores, filesIn, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'

const app = parseRepositoryName('library/app')
const other = parseRepositoryName('team/other')
const bytes = Buffer.from('content of a blob')
const digest = digestOf(bytes)
const leave = { mayGo: () => true, unlink: async () => true }

const restarted = async (driver: StorageDriver) => {
  const content = new MirroredContent({ driver, clock: systemClock, logger: silent })
  await content.loaded()
  return content
}

onEachDriver(t, 'BlobStore.adopt() that fails leaves no marker', async (t, driver) => {
  const faulty = faultyDriver(driver)
  const stores = createStores(faulty.driver)
  await stores.mirroredContent.loaded()
  faulty.fail('move', new Error('disk full'))

  await t.rejects(mirrorBlob(stores, app, bytes), { message: 'disk full' })

  t.equal(stores.mirroredContent.count, 0)
  t.equal(stores.mirroredContent.usedBytes, 0)
  t.notOk((await filesIn(driver)).some(path => path.includes('_content')))
})

onEachDriver(t, 'MirroredContent drops a marker without content when it reads them', async (t, driver) => {
  await mirrorBlob(createStores(driver), app, bytes)
  await driver.remove(layout.blobDirectory(digest))

  const content = await restarted(driver)

  t.equal(content.count, 0)
  t.notOk((await filesIn(driver)).some(path => path.includes('_content')))
})

onEachDriver(t, 'MirroredContent takes a broken marker for none', async (t, driver) => {
  const stores = createStores(driver)
  await mirrorBlob(stores, app, bytes)
  for (const text of ['{"kind":"blob"', '{"kind":"pushed"}', '']) {
    await driver.writeAll(layout.mirroredMarker(digest), Buffer.from(text))

    t.equal(await stores.blobs.evict(digest, leave), undefined, 'it is asked for just before it goes')
    t.equal((await restarted(driver)).count, 0)
    t.equal((await stores.blobs.stat(digest)).size, bytes.length)
  }
})

t.test('MirroredContent tries again after its markers could not be read', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  await mirrorBlob(createStores(driver), app, bytes)
  const faulty = faultyDriver(driver)
  faulty.fail('readAll', new Error('no route to store'))
  const content = new MirroredContent({ driver: faulty.driver, clock: systemClock, logger: silent })

  t.equal(await content.loaded(), false)
  t.equal(content.isLoaded, false)
  t.equal(await content.loaded(), true)
  t.equal(content.count, 1)
})

t.test('MirroredContent asks storage for what it has not read yet', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  await mirrorBlob(createStores(driver), app, bytes)
  const faulty = faultyDriver(driver)
  const reading = faulty.pause('stat', { path: /blobs/ })
  const stores = createStores(faulty.driver)
  await reading.reached

  const found = await stores.mirroredContent.find(digest)
  reading.resume()
  await stores.links.link(other, 'layer', digest)
  await stores.mirroredContent.loaded()

  t.match(found, { kind: 'blob', repositories: [app] })
  t.same(stores.mirroredContent.get(digest)?.repositories, [app, other])
  t.equal(stores.mirroredContent.usedBytes, bytes.length)
})

t.test('MirroredContent.close() ends the reading of markers', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  await mirrorBlob(createStores(driver), app, bytes)
  const content = new MirroredContent({ driver, clock: systemClock, logger: silent })

  content.start()
  await content.close()

  t.equal(content.isLoaded, false)
  t.equal(await content.loaded(), false)
})

onEachDriver(t, 'MirroredContent knows the same after a restart', async (t, driver) => {
  const stores = createStores(driver)
  const blob = await mirrorBlob(stores, app, bytes)
  const child = manifestOf([blob])
  const manifest = await mirrorManifest(stores, app, child)
  const index = await mirrorManifest(stores, other, manifestOf([manifest], 'index'))

  const content = await restarted(driver)

  t.equal(content.count, 3)
  t.equal(content.usedBytes, stores.mirroredContent.usedBytes)
  t.match(content.get(blob), { kind: 'blob', size: bytes.length, repositories: [app], refs: [] })
  t.match(content.get(manifest), { kind: 'manifest', size: child.length, repositories: [app], refs: [blob] })
  t.match(content.get(index), { kind: 'manifest', repositories: [other], refs: [manifest] })
})

onEachDriver(t, 'Links.link() remembers every repository of mirrored content, once', async (t, driver) => {
  const stores = createStores(driver)
  await mirrorBlob(stores, app, bytes)
  const written: string[] = []
  const watched = createStores(
    hooked(driver, ({ action, path }) => void (action === 'writeAll' && written.push(path))),
  )
  await watched.mirroredContent.loaded()

  await watched.links.link(other, 'layer', digest)
  await watched.links.link(other, 'layer', digest)

  t.equal(
    written.filter(path => path === layout.mirroredMarker(digest)).length,
    2,
    'before and after one write',
  )
  t.same((await restarted(driver)).get(digest)?.repositories, [app, other])
})

onEachDriver(t, 'BlobStore takes what was pushed before for pushed', async (t, driver) => {
  const stores = createStores(driver)
  await stores.blobs.put(bytes, digest)

  await mirrorBlob(stores, app, bytes)

  t.equal(stores.mirroredContent.count, 0)
  t.equal((await restarted(driver)).count, 0)
})

onEachDriver(t, 'BlobStore.put() of mirrored content claims it', async (t, driver) => {
  const stores = createStores(driver)
  await mirrorBlob(stores, app, bytes)

  await stores.blobs.put(bytes, digest)

  t.equal(stores.mirroredContent.usedBytes, 0)
  t.equal(await stores.blobs.evict(digest, leave), undefined)
  t.equal((await restarted(driver)).count, 0)
})

onEachDriver(t, 'BlobStore.evict() leaves content that somebody reads', async (t, driver) => {
  const { blobs, mirroredContent } = createStores(driver)
  const stores = createStores(driver)
  await mirroredContent.loaded()
  await mirrorBlob(stores, app, bytes)
  const stream = await stores.blobs.read(digest)
  const reader = await stores.blobs.openReader?.(digest)
  await t.rejects(blobs.read(digestOf(Buffer.from('nothing'))))

  t.equal(await stores.blobs.evict(digest, leave), undefined)
  t.same(await buffer(stream), bytes)
  await reader?.close()
  await reader?.close()
  await new Promise(resolve => setImmediate(resolve))

  t.equal(stores.mirroredContent.isHeld(digest), false)
  t.equal(await stores.blobs.evict(digest, leave), bytes.length)
  t.equal(stores.mirroredContent.usedBytes, 0)
  t.same(await filesIn(driver), [`/repositories/${app}/_layers/sha256/${digest.slice(7)}/link`])
})

onEachDriver(t, 'BlobStore.remove() takes the marker along', async (t, driver) => {
  const stores = createStores(driver)
  await mirrorBlob(stores, app, bytes)

  await stores.blobs.remove(digest)

  t.equal(stores.mirroredContent.count, 0)
  t.notOk((await filesIn(driver)).some(path => path.includes('_content')))
})

onEachDriver(t, 'MirroredContent.unlink() leaves the links of what was pushed', async (t, driver) => {
  const stores = createStores(driver)
  await mirrorBlob(stores, app, bytes)
  await stores.links.link(other, 'layer', digest)
  let count = 0
  const work = async () => void count++

  await stores.mirroredContent.unlink(digest, app, work)
  t.same(stores.mirroredContent.get(digest)?.repositories, [other])
  await stores.blobs.claim(digest)
  await stores.mirroredContent.unlink(digest, other, work)

  t.equal(count, 1)
})

onEachDriver(t, 'a manifest that is read as a blob, too, stays a manifest', async (t, driver) => {
  const stores = createStores(driver)
  const blob = await mirrorBlob(stores, app, bytes)
  const manifest = manifestOf([blob])
  await mirrorManifest(stores, app, manifest)

  await mirrorBlob(stores, app, manifest)

  t.match(stores.mirroredContent.get(digestOf(manifest)), { kind: 'manifest', refs: [blob] })
})
