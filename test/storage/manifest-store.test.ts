// Which manifests are accepted and given out, and when bytes are read again.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { ReferencesUnknownError } from '../../lib/oci/errors.ts'
import { parseManifest } from '../../lib/oci/manifest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createStores, hooked, onEachDriver, uncached } from '../support/stores.ts'

const name = parseRepositoryName('team/app')
const other = parseRepositoryName('team/other')
const blob = (text: string) => ({ text: Buffer.from(text), digest: digestOf(Buffer.from(text)) })
const config = blob('{}')
const layers = [blob('one'), blob('two'), blob('three')]
const entry = ({ text, digest }: ReturnType<typeof blob>, mediaType = 'application/vnd.example') => ({
  mediaType,
  digest,
  size: text.length,
})
const manifest = (content: object) => Buffer.from(JSON.stringify({ schemaVersion: 2, ...content }))
const image = manifest({
  mediaType: mediaTypes.ociManifest,
  config: entry(config),
  layers: [...layers, ...layers].map(layer => entry(layer)),
})

onEachDriver(
  t,
  'ManifestStore.checkReferences() names all that is missing, once, config first',
  async (t, driver) => {
    const { manifests, blobs, links } = createStores(driver)
    const [one] = layers
    if (one === undefined) throw new Error('no layer')
    await blobs.put(one.text, one.digest)
    await links.link(other, 'layer', one.digest)

    const failure: unknown = await manifests
      .checkReferences(name, parseManifest(image))
      .catch((err: unknown) => err)

    t.type(failure, ReferencesUnknownError)
    t.same(
      failure instanceof ReferencesUnknownError && failure.digests,
      [config, ...layers].map(({ digest }) => digest),
      'a blob of another repository is none of this one',
    )
  },
)

onEachDriver(
  t,
  'ManifestStore.checkReferences() misses a blob whose link is all that is left',
  async (t, driver) => {
    const { manifests, links } = createStores(driver, uncached)
    for (const { digest } of [config, ...layers]) await links.link(name, 'layer', digest)

    await t.rejects(manifests.checkReferences(name, parseManifest(image)), ReferencesUnknownError)
  },
)

onEachDriver(
  t,
  'ManifestStore.checkReferences() misses children: no manifest, or no bytes',
  async (t, driver) => {
    const { manifests, blobs, links } = createStores(driver, uncached)
    const child = manifest({ mediaType: mediaTypes.ociManifest })
    const lost = manifest({ mediaType: mediaTypes.ociManifest, annotations: { a: 'b' } })
    const blobOnly = blob('no manifest of this repository')
    await manifests.store(name, child, digestOf(child))
    await links.link(name, 'manifest', digestOf(lost))
    await blobs.put(blobOnly.text, blobOnly.digest)
    await links.link(name, 'layer', blobOnly.digest)
    const index = manifest({
      mediaType: mediaTypes.ociIndex,
      manifests: [digestOf(child), digestOf(lost), blobOnly.digest].map(digest => ({
        mediaType: mediaTypes.ociManifest,
        digest,
        size: 1,
      })),
    })

    await t.rejects(
      manifests.checkReferences(name, parseManifest(index)),
      new ReferencesUnknownError([digestOf(lost), blobOnly.digest]),
    )
  },
)

onEachDriver(
  t,
  'ManifestStore.checkReferences() wants a foreign layer only if it has no URL',
  async (t, driver) => {
    const { manifests } = createStores(driver)
    const foreign = (urls?: string[]) =>
      parseManifest(
        manifest({
          mediaType: mediaTypes.dockerManifest,
          layers: [{ ...entry(blob('foreign'), mediaTypes.dockerForeignLayer), urls }],
        }),
      )

    await t.resolves(manifests.checkReferences(name, foreign(['https://example.com/layer'])))
    await t.rejects(manifests.checkReferences(name, foreign([])), ReferencesUnknownError)
    await t.rejects(manifests.checkReferences(name, foreign()), ReferencesUnknownError)
  },
)

onEachDriver(t, 'ManifestStore.checkReferences() does not want a subject', async (t, driver) => {
  const { manifests } = createStores(driver)
  const artifact = manifest({ mediaType: mediaTypes.ociManifest, subject: entry(config) })

  await t.resolves(manifests.checkReferences(name, parseManifest(artifact)))
})

onEachDriver(
  t,
  'ManifestStore.get() gives out what this repository holds, byte for byte',
  async (t, driver) => {
    const { manifests, blobs } = createStores(driver)
    const bytes = Buffer.from(` {"schemaVersion":2 ,\n"mediaType":"${mediaTypes.ociIndex}","manifests":[]}\n`)
    const digest = digestOf(bytes)
    await blobs.put(bytes, digest)
    t.equal(await manifests.get(name, digest), undefined, 'a blob is no manifest')
    t.equal(await manifests.holds(name, digest), false)

    await manifests.store(name, bytes, digest)

    const found = await manifests.get(name, digest)
    t.same(found?.bytes, bytes)
    t.same(found?.descriptor, { mediaType: mediaTypes.ociIndex, digest, size: bytes.length })
    t.equal(await manifests.get(other, digest), undefined)
    t.equal(await manifests.holds(name, digest), true)
  },
)

onEachDriver(t, 'ManifestStore.get() reads bytes once, but asks for the link', async (t, driver) => {
  const reads: string[] = []
  const watched = hooked(
    driver,
    ({ action, path, when }) => void (action === 'readAll' && when === 'before' && reads.push(path)),
  )
  const { manifests } = createStores(watched, uncached)
  const digest = digestOf(image)
  await manifests.store(name, image, digest)

  await manifests.get(name, digest)
  await manifests.get(name, digest)

  t.equal(reads.filter(path => path === layout.blobContent(digest)).length, 1)
  t.equal(reads.filter(path => path === layout.revisionLink(name, digest)).length, 2)

  t.equal(await manifests.remove(name, digest), true)
  t.equal(await manifests.get(name, digest), undefined)
  t.equal(await manifests.remove(name, digest), false)
})

onEachDriver(t, 'ManifestStore.get() finds nothing where only the link is left', async (t, driver) => {
  const { manifests, blobs } = createStores(driver)
  const digest = digestOf(image)
  await manifests.store(name, image, digest)

  await blobs.remove(digest)

  t.equal(await manifests.get(name, digest), undefined)
})

onEachDriver(t, 'ManifestStore.get() refuses bytes that are no manifest or too many', async (t, driver) => {
  const { manifests } = createStores(driver)
  const large = manifest({ annotations: { a: 'x'.repeat(4 * 1024 * 1024) } })
  for (const bytes of [Buffer.from('not json'), large]) {
    await manifests.store(name, bytes, digestOf(bytes))

    await t.rejects(manifests.get(name, digestOf(bytes)))
  }
})
