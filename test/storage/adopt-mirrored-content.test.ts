// What distribution has mirrored becomes the mirror's own, so that it can be evicted.
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import t from 'tap'
import { adoptMirroredContent } from '../../lib/storage/adopt-mirrored-content.ts'
import { adoptMirroredTags } from '../../lib/storage/adopt-mirrored-tags.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { readMarker } from '../../lib/storage/mirrored-marker.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { onEachDriver, openTestDriver } from '../support/stores.ts'

const [alpine, nested] = ['library/alpine', 'library/alpine/edge'].map(parseRepositoryName) as [
  ReturnType<typeof parseRepositoryName>,
  ReturnType<typeof parseRepositoryName>,
]
const layer = Buffer.from('a layer')
const config = Buffer.from('{}')
const gone = digestOf(Buffer.from('gone'))
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: 2 },
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(layer), size: layer.length },
    ],
  }),
)

/** Two repositories that share a layer; one links a blob that has gone. */
async function fill(driver: StorageDriver): Promise<void> {
  for (const content of [layer, config, manifest])
    await driver.writeAll(layout.blobContent(digestOf(content)), content)
  for (const content of [layer, config])
    await driver.writeAll(layout.layerLink(alpine, digestOf(content)), Buffer.from(digestOf(content)))
  await driver.writeAll(layout.layerLink(nested, digestOf(layer)), Buffer.from(digestOf(layer)))
  await driver.writeAll(layout.layerLink(nested, gone), Buffer.from(gone))
  for (const name of [alpine, nested])
    await driver.writeAll(layout.revisionLink(name, digestOf(manifest)), Buffer.from(digestOf(manifest)))
}

onEachDriver(t, 'adoptMirroredContent() marks what is linked and there', async (t, driver) => {
  await fill(driver)

  t.equal(await adoptMirroredContent(driver, Infinity), 3)

  t.same(await readMarker(driver, digestOf(manifest)), {
    kind: 'manifest',
    size: manifest.length,
    repositories: [alpine, nested],
    refs: [digestOf(config), digestOf(layer)],
  })
  t.match(await readMarker(driver, digestOf(layer)), { kind: 'blob', repositories: [alpine, nested] })
  t.equal(await readMarker(driver, gone), undefined)
})

onEachDriver(t, 'adoptMirroredTags() marks content in a mirror of distribution alone', async (t, driver) => {
  await fill(driver)

  await adoptMirroredTags(driver, 'docker.io')
  t.equal(await readMarker(driver, digestOf(layer)), undefined, 'it was pushed')

  await driver.writeAll(layout.schedulerState, Buffer.from('{}'))
  await adoptMirroredTags(driver, 'docker.io')
  t.match(await readMarker(driver, digestOf(layer)), { kind: 'blob' })
})

t.test(
  'adoptMirroredContent() leaves what was linked after its mirror ended, with all that it needs',
  async t => {
    const clock = new ManualClock()
    const driver = await openTestDriver(t, 'inmemory', { clock })
    const other = Buffer.from('mirrored alone')
    for (const content of [layer, config, other])
      await driver.writeAll(layout.blobContent(digestOf(content)), content)
    for (const content of [layer, config, other])
      await driver.writeAll(layout.layerLink(alpine, digestOf(content)), Buffer.from(digestOf(content)))
    await driver.writeAll(layout.schedulerState, Buffer.from('{}'))
    clock.advance(3_600_000)
    await driver.writeAll(layout.blobContent(digestOf(manifest)), manifest)
    await driver.writeAll(layout.revisionLink(alpine, digestOf(manifest)), Buffer.from(digestOf(manifest)))

    await adoptMirroredTags(driver, 'docker.io')

    t.ok(await readMarker(driver, digestOf(other)))
    for (const pushed of [manifest, layer, config]) t.notOk(await readMarker(driver, digestOf(pushed)))
  },
)
