import t, { type Test } from 'tap'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import type { Tag } from '../../lib/oci/reference.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import { layout } from '../../lib/storage/layout.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createStores, filesIn, hooked, openTestDriver } from '../support/stores.ts'
import { collect } from './collect.ts'

const [app, other] = [parseRepositoryName('team/app'), parseRepositoryName('other')]
const hourMs = 3_600_000
const tag = (name: string) => name as Tag

async function setUp(t: Test) {
  const clock = new ManualClock()
  const driver = await openTestDriver(t, 'inmemory', { clock })
  const stores = createStores(driver, { clock })
  const registry = createLocalRegistry(stores, { allowDelete: true })

  async function blob(name: typeof app, content: string, algorithm: 'sha256' | 'sha512' = 'sha256') {
    const digest = digestOf(Buffer.from(content), algorithm)
    await stores.blobs.put(Buffer.from(content), digest)
    await stores.links.link(name, 'layer', digest)
    return { mediaType: mediaTypes.octetStream, digest, size: content.length }
  }

  async function manifest(name: typeof app, document: object, as?: string): Promise<Digest> {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }))
    const digest = digestOf(bytes)
    const reference =
      as === undefined ? ({ kind: 'digest', digest } as const) : ({ kind: 'tag', tag: tag(as) } as const)
    await registry.repository(name).manifests.put(bytes, contentType(document), reference)
    return digest
  }

  async function image(name: typeof app, words: string, as?: string, more: object = {}): Promise<Digest> {
    const config = await blob(name, `config of ${words}`)
    const layers = [await blob(name, `layer of ${words}`)]
    return manifest(name, { mediaType: mediaTypes.ociManifest, config, layers, ...more }, as)
  }

  const has = (digest: Digest) => stores.blobs.lookUp(digest).then(size => size !== undefined)
  const hasContent = (content: string) => has(digestOf(Buffer.from(content)))
  return { clock, driver, stores, registry, blob, manifest, image, has, hasContent }
}

function contentType(document: object): string {
  return (document as { readonly mediaType: string }).mediaType
}

const indexOf = (...manifests: readonly Digest[]) => ({
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: manifests.map(digest => ({ mediaType: mediaTypes.ociManifest, digest, size: 1 })),
})
const subjectOf = (digest: Digest) => ({ subject: { mediaType: mediaTypes.ociManifest, digest, size: 1 } })

t.test('A collection removes what a deleted manifest needed, and nothing that another one needs', async t => {
  const { clock, stores, registry, blob, image, hasContent, has } = await setUp(t)
  const gone = await image(app, 'gone', 'gone')
  await image(app, 'kept', 'kept')
  await image(other, 'gone', 'elsewhere') // The same blobs, of another repository.
  await blob(app, 'never used')
  await registry.repository(app).manifests.remove?.(gone)
  clock.advance(2 * hourMs)

  const dry = await collect(stores, { clock, dryRun: true })
  const { report } = await collect(stores, { clock })
  const again = await collect(stores, { clock })

  t.same(dry.report.eligible, { blobs: 1, manifests: 0, layerLinks: 3 })
  t.equal(dry.report.removed.layerLinks, 0)
  t.match(report.removed, { blobs: 1, manifests: 0, layerLinks: 3, bytes: 'never used'.length })
  t.same(again.report.eligible, { blobs: 0, manifests: 0, layerLinks: 0 })
  t.notOk(await hasContent('never used'))
  for (const words of ['kept', 'gone']) t.ok(await hasContent(`layer of ${words}`), words)
  t.ok(await has(gone), 'the same manifest is in the other repository')
  await t.rejects(registry.repository(app).blobs.stat(digestOf(Buffer.from('layer of gone'))))
  await registry.repository(other).blobs.stat(digestOf(Buffer.from('layer of gone')))
})

t.test('A collection leaves what is young, was asked for lately, or belongs to a push under way', async t => {
  const { clock, stores, registry, blob, hasContent } = await setUp(t)
  const asked = await blob(app, 'asked for')
  await blob(other, 'pushed before')
  await blob(app, 'old')
  clock.advance(hourMs / 2)
  await registry.repository(other).uploads?.start()
  clock.advance(hourMs - 1000)
  await registry.repository(app).blobs.stat(asked.digest)
  await blob(app, 'young')

  const { report } = await collect(stores, { clock })

  t.equal(report.removed.blobs, 1)
  t.notOk(await hasContent('old'))
  for (const content of ['asked for', 'pushed before', 'young']) t.ok(await hasContent(content), content)
})

t.test('A collection of untagged manifests keeps children and referrers of what is kept', async t => {
  const { clock, stores, image, manifest, has, hasContent } = await setUp(t)
  const child = await image(app, 'child')
  const inner = await manifest(app, indexOf(child))
  const index = await manifest(app, indexOf(inner), 'v1')
  const signature = await image(app, 'signature', undefined, subjectOf(child))
  const ofSignature = await image(app, 'of signature', undefined, subjectOf(signature))
  const untagged = await image(app, 'untagged')
  const ofUntagged = await image(app, 'of untagged', undefined, subjectOf(untagged))
  const moved = await image(app, 'moved', 'latest')
  await image(app, 'latest', 'latest')
  clock.advance(2 * hourMs)

  t.equal(
    (await collect(stores, { clock })).report.removed.blobs,
    0,
    'without being asked to it removes none',
  )
  const { events, report } = await collect(stores, { clock, untagged: true })

  t.equal(report.removed.manifests, 3)
  t.equal(report.removed.layerLinks, 6)
  for (const digest of [child, inner, index, signature, ofSignature]) t.ok(await has(digest), digest)
  for (const digest of [untagged, ofUntagged, moved]) t.notOk(await has(digest), digest)
  for (const words of ['child', 'signature', 'of signature', 'latest'])
    t.ok(await hasContent(`layer of ${words}`))
  t.same(events.find(event => event.kind === 'manifest-eligible')?.tags, ['latest', 'v1'])
  const files = await filesIn(stores.driver)
  t.notOk(
    files.some(file => file.includes('tags/') && file.includes(moved.slice(7))),
    'no history of it is left',
  )
})

t.test('A collection of untagged manifests leaves a repository alone that never had a tag', async t => {
  const { clock, stores, image, has } = await setUp(t)
  const pushed = await image(app, 'by digest')
  clock.advance(2 * hourMs)

  const { report } = await collect(stores, { clock, untagged: true })

  t.same(report.eligible, { blobs: 0, manifests: 0, layerLinks: 0 })
  t.ok(await has(pushed))
})

t.test('A collection keeps all that a repository has where a manifest cannot be read', async t => {
  const { clock, stores, blob, image, hasContent } = await setUp(t)
  await image(app, 'tagged', 'v1')
  await image(app, 'untagged')
  await blob(app, 'of an old schema')
  for (const text of ['{"schemaVersion":1,"fsLayers":[]}', 'no JSON']) {
    const bytes = Buffer.from(text)
    await stores.blobs.put(bytes, digestOf(bytes))
    await stores.links.link(app, 'manifest', digestOf(bytes))
  }
  await blob(other, 'elsewhere')
  clock.advance(2 * hourMs)

  const { events, report } = await collect(stores, { clock, untagged: true })

  t.equal(report.removed.blobs, 1)
  t.ok(await hasContent('of an old schema'))
  t.ok(await hasContent('layer of untagged'))
  t.equal(events.filter(({ kind }) => kind === 'warning').length, 2)
})

t.test('A collection follows every digest in a manifest of an unknown type', async t => {
  const { clock, stores, blob, manifest, hasContent } = await setUp(t)
  const { digest } = await blob(app, 'named in some way')
  await manifest(app, { mediaType: 'application/vnd.example+json', parts: [{ content: digest }] }, 'v1')
  clock.advance(2 * hourMs)

  await collect(stores, { clock, untagged: true })

  t.ok(await hasContent('named in some way'))
})

t.test('A collection knows names that link to content of another digest', async t => {
  const { clock, driver, stores, blob, manifest, has } = await setUp(t)
  const stored = await blob(app, 'stored once')
  const alias = digestOf(Buffer.from('stored once'), 'sha512')
  await driver.writeAll(layout.layerLink(app, alias), Buffer.from(stored.digest))
  const config = { ...stored, digest: alias }
  await manifest(app, { mediaType: mediaTypes.ociManifest, config, layers: [] }, 'v1')
  const sha512 = await blob(app, 'by sha512', 'sha512')
  clock.advance(2 * hourMs)

  const { report } = await collect(stores, { clock })

  t.equal(report.removed.blobs, 1)
  t.ok(await has(stored.digest))
  t.notOk(await has(sha512.digest))
  t.equal(await stores.links.lookUp(app, 'layer', alias), stored.digest)
})

t.test('A collection passes over links that are broken or lead nowhere', async t => {
  const { clock, driver, stores, image, hasContent } = await setUp(t)
  const lost = await image(app, 'lost', 'lost')
  await image(app, 'kept', 'kept')
  await driver.remove(layout.blobDirectory(lost))
  await driver.remove(layout.blobDirectory(digestOf(Buffer.from('config of kept'))))
  await driver.writeAll(layout.layerLink(app, digestOf(Buffer.from('x'))), Buffer.from('nonsense'))
  clock.advance(2 * hourMs)

  const { events } = await collect(stores, { clock })
  await collect(stores, { clock })

  t.match(
    events.filter(({ kind }) => kind === 'warning'),
    [{ message: `team/app: manifest ${lost} is linked and not there` }],
  )
  t.ok(await hasContent('layer of kept'))
  t.notOk(await hasContent('layer of lost'))
})

t.test('A collection leaves to the evictor what was mirrored', async t => {
  const { clock, stores, hasContent } = await setUp(t)
  const bytes = Buffer.from('mirrored')
  const mirrored = { kind: 'blob' as const, repositories: [app], refs: [] }
  await stores.blobs.put(bytes, digestOf(bytes), { mirrored })
  await stores.links.link(app, 'layer', digestOf(bytes))
  clock.advance(2 * hourMs)

  t.equal((await collect(stores, { clock, isMirror: true })).report.removed.blobs, 0)
  t.ok(await hasContent('mirrored'))
  t.ok(await stores.links.lookUp(app, 'layer', digestOf(bytes)))
  t.equal((await collect(stores, { clock })).report.removed.blobs, 1, 'where nothing is mirrored any more')
  t.equal(stores.mirroredContent.count, 0)
})

t.test('A collection that cannot read something removes nothing', async t => {
  const { clock, driver, blob, image, hasContent } = await setUp(t)
  const kept = await image(app, 'kept', 'kept')
  await blob(app, 'unused')
  clock.advance(2 * hourMs)
  const failing = hooked(driver, ({ action, path }) => {
    if (action === 'readAll' && path === layout.blobContent(kept)) throw new Error('EIO')
  })

  await t.rejects(collect(createStores(failing, { clock }), { clock }), { message: 'EIO' })

  t.ok(await hasContent('unused'))
})

t.test('A collection in another process puts links back that a new manifest needs', async t => {
  const { clock, driver, stores, registry, blob, manifest, hasContent } = await setUp(t)
  const layer = await blob(app, 'needed again')
  clock.advance(2 * hourMs)
  let pushed: Promise<Digest> | undefined
  const elsewhere = hooked(driver, async ({ action, path, when }) => {
    // As late as can be: the collector has looked at the link's age, and removes it now.
    if (action !== 'remove' || when !== 'before' || !path.includes('_layers') || pushed !== undefined) return
    const config = layer
    pushed = manifest(app, { mediaType: mediaTypes.ociManifest, config, layers: [] }, 'v1')
    await pushed
  })

  const { report } = await collect(createStores(elsewhere, { clock }), { clock })

  t.ok(pushed, 'it was pushed meanwhile')
  t.equal(report.removed.blobs, 0)
  t.equal(report.retained, 2)
  t.ok(await hasContent('needed again'))
  t.equal((await registry.repository(app).blobs.stat(layer.digest)).size, layer.size)
  t.equal(stores.driver, driver)
})

t.test('A manifest is refused whose layer a collection in another process takes meanwhile', async t => {
  const { clock, driver, stores, blob, manifest } = await setUp(t)
  const layer = await blob(app, 'taken')
  clock.advance(2 * hourMs)
  let isTaken = false
  const slow = hooked(driver, async ({ action, path, when }) => {
    // The push has looked for the layer twice, and stores its manifest now.
    if (action !== 'writeAll' || when !== 'before' || !path.includes('revisions') || isTaken) return
    isTaken = true
    await collect(createStores(driver, { clock }), { clock })
  })
  const pushing = createLocalRegistry(createStores(slow, { clock }), { allowDelete: true })
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: layer, layers: [] }
  const bytes = Buffer.from(JSON.stringify(document))

  await t.rejects(
    pushing.repository(app).manifests.put(bytes, mediaTypes.ociManifest, { kind: 'tag', tag: tag('v1') }),
    { code: 'MANIFEST_BLOB_UNKNOWN' },
  )

  t.ok(isTaken)
  t.equal(await stores.links.lookUp(app, 'manifest', digestOf(bytes)), undefined)
  t.equal(await stores.tags.resolve(app, tag('v1')), undefined)
  await blob(app, 'taken')
  await manifest(app, document, 'v1')
})

t.test('A collection that is ended while it unlinks puts back what a new manifest needs', async t => {
  const { clock, driver, registry, blob, manifest } = await setUp(t)
  const layer = await blob(app, 'needed again')
  await blob(other, 'elsewhere')
  clock.advance(2 * hourMs)
  const ending = new AbortController()
  const elsewhere = hooked(driver, async ({ action, path, when }) => {
    if (action !== 'remove' || when !== 'before' || !path.includes('team/app/_layers')) return
    await manifest(app, { mediaType: mediaTypes.ociManifest, config: layer, layers: [] }, 'v1')
    ending.abort(new Error('ended'))
  })

  const { signal } = ending
  await t.rejects(collect(createStores(elsewhere, { clock }), { clock, signal }), { message: 'ended' })

  t.equal((await registry.repository(app).blobs.stat(layer.digest)).size, layer.size)
})

t.test('A collection that cannot remove a link puts back what a new manifest needs', async t => {
  const { clock, driver, registry, blob, manifest } = await setUp(t)
  const layer = await blob(app, 'needed again')
  const more = await blob(app, 'more')
  clock.advance(2 * hourMs)
  let pushed = false
  const elsewhere = hooked(driver, async ({ action, path, when }) => {
    if (action !== 'remove' || when !== 'before' || !path.includes('_layers')) return
    if (pushed) throw new Error('EIO')
    pushed = true
    await manifest(app, { mediaType: mediaTypes.ociManifest, config: layer, layers: [more] }, 'v1')
  })

  const stores = createStores(elsewhere, { clock })
  await t.rejects(collect(stores, { clock, concurrency: 1 }), { message: 'EIO' })

  for (const { digest } of [layer, more]) await registry.repository(app).blobs.stat(digest)
})

t.test('A mount whose source a collection takes leaves what was uploaded meanwhile', async t => {
  const { clock, driver, stores, blob } = await setUp(t)
  const { digest } = await blob(other, 'mounted')
  clock.advance(2 * hourMs)
  const slow = hooked(driver, async ({ action, path, when }) => {
    if (action !== 'writeAll' || when !== 'after' || !path.includes('team/app/_layers')) return
    await stores.links.unlink(other, 'layer', digest) // As a collection does.
    await blob(app, 'mounted') // Somebody uploads it there.
  })
  const mounting = createLocalRegistry(createStores(slow, { clock }), { allowDelete: true })

  const mounted = mounting.repository(app).uploads?.mount(digest, other)
  await t.rejects(async () => void (await mounted), { code: 'BLOB_UNKNOWN' })

  t.equal(await stores.links.lookUp(app, 'layer', digest), digest)
})

t.test('A collection of untagged manifests leaves one that a client was told is here', async t => {
  const { clock, stores, registry, image, hasContent, has } = await setUp(t)
  await image(app, 'tagged', 'v1')
  const child = await image(app, 'child')
  const nobodys = await image(app, 'nobody’s')
  clock.advance(2 * hourMs)
  await registry.repository(app).manifests.stat({ kind: 'digest', digest: child })

  await collect(stores, { clock, untagged: true })

  t.ok(await has(child))
  t.ok(await hasContent('layer of child'), 'with all that it needs')
  t.notOk(await has(nobodys))
})

t.test('Who asks for what is nowhere leaves no trace, and who uses it before does', async t => {
  const { stores, registry } = await setUp(t)
  const digest = digestOf(Buffer.from('nowhere'))
  const uses = await stores.uses.watch(Infinity)
  await t.rejects(registry.repository(app).blobs.stat(digest))
  await t.rejects(registry.repository(app).manifests.stat({ kind: 'digest', digest }))
  t.notOk(uses.has(digest))
  stores.uses.touch(digest)
  await t.rejects(registry.repository(app).blobs.stat(digest))
  t.ok(uses.has(digest))
  uses.end()
})

t.test('Who asks for a blob hears at once that a collection in another process has taken it', async t => {
  const { clock, driver, registry, blob } = await setUp(t)
  const { digest } = await blob(app, 'remembered')
  const mounted = await blob(other, 'to be mounted')
  clock.advance(2 * hourMs)
  await registry.repository(app).blobs.open(digest)
  await registry.repository(other).blobs.open(mounted.digest)

  await collect(createStores(driver, { clock }), { clock })

  await t.rejects(registry.repository(app).blobs.stat(digest), { code: 'BLOB_UNKNOWN' })
  const mounting = registry.repository(app).uploads?.mount(mounted.digest, other)
  await t.rejects(async () => void (await mounting), { code: 'BLOB_UNKNOWN' })
})
