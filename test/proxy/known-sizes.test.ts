import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseManifest, type Manifest } from '../../lib/oci/manifest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createKnownSizes } from '../../lib/proxy/known-sizes.ts'

const app = parseRepositoryName('team/app')
const digests = ['config', 'one', 'two'].map(text => digestOf(Buffer.from(text)))
const [config = digestOf(Buffer.alloc(0)), one = config, two = config] = digests

function manifest(content: object): Manifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...content }))
  const { mediaType } = parseManifest(bytes)
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes }
}

const entry = (digest: string, size: number) => ({ mediaType: 'application/vnd.example', digest, size })

t.test('KnownSizes knows nothing before it has learned', async t => {
  t.equal(createKnownSizes().of(app, one), undefined)
})

t.test('KnownSizes.learnFrom() takes config and layers, also those that are empty', async t => {
  const sizes = createKnownSizes()

  sizes.learnFrom(
    app,
    manifest({ config: entry(config, 2), layers: [entry(one, 0), entry(two, 4_000_000_000)] }),
  )

  t.same(
    [config, one, two].map(digest => sizes.of(app, digest)),
    [2, 0, 4_000_000_000],
  )
})

t.test('KnownSizes.learnFrom() takes nothing of an index: its children are no blobs', async t => {
  const sizes = createKnownSizes()

  sizes.learnFrom(app, manifest({ manifests: [entry(one, 5)] }))

  t.equal(sizes.of(app, one), undefined)
})

t.test('KnownSizes keeps no more than it may, the latest', async t => {
  const sizes = createKnownSizes(2)

  sizes.learnFrom(app, manifest({ layers: [entry(config, 1), entry(one, 2), entry(two, 3)] }))

  t.same(
    [config, one, two].map(digest => sizes.of(app, digest)),
    [undefined, 2, 3],
  )
})

t.test('KnownSizes.learnFrom() learns again what it has dropped', async t => {
  const sizes = createKnownSizes(2)
  const first = manifest({ layers: [entry(config, 1)] })
  sizes.learnFrom(app, first)
  sizes.learnFrom(app, manifest({ layers: [entry(one, 2), entry(two, 3)] }))
  t.equal(sizes.of(app, config), undefined)

  sizes.learnFrom(app, first)

  t.equal(sizes.of(app, config), 1)
})

t.test('KnownSizes.of() takes no other repository’s word', async t => {
  const sizes = createKnownSizes()
  sizes.learnFrom(parseRepositoryName('team/liar'), manifest({ layers: [entry(one, 1)] }))

  t.equal(sizes.of(app, one), undefined)
})
