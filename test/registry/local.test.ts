// The local registry: the suite over both drivers, and what is its alone.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import { BlobUnknownError, ReferencesUnknownError } from '../../lib/oci/errors.ts'
import { createStores, driverKinds, onEachDriver, openTestDriver, uncached } from '../support/stores.ts'
import {
  app,
  bytesOf,
  manifestOver,
  other,
  pushBlob,
  pushManifest,
  tagged,
  uploadsOf,
} from './suite/content.ts'
import { registrySuite } from './suite.ts'

for (const kind of driverKinds) {
  void t.test(`createLocalRegistry() over ${kind}`, async t => {
    registrySuite(t, {
      open: async t =>
        createLocalRegistry(createStores(await openTestDriver(t, kind)), { allowDelete: true }),
    })
  })
}

void t.test('createLocalRegistry() without a descriptor cache', async t => {
  registrySuite(t, {
    open: async t =>
      createLocalRegistry(createStores(await openTestDriver(t, 'inmemory'), uncached), { allowDelete: true }),
  })
})

onEachDriver(t, 'LocalRepository has no remove() where nothing may be deleted', async (t, driver) => {
  const repository = createLocalRegistry(createStores(driver), { allowDelete: false }).repository(app)

  t.equal(repository.blobs.remove, undefined)
  t.equal(repository.manifests.remove, undefined)
  t.equal(repository.tags.remove, undefined)
})

onEachDriver(t, 'LocalRepository sends to the driver only where it can and may', async (t, driver) => {
  const location = new URL('https://cdn.example/blob')
  const asked: string[] = []
  const redirecting = {
    ...driver,
    redirectUrl: async (path: string, expiresMs: number) => {
      asked.push(`${path} ${expiresMs}`)
      return location
    },
  }
  const open = async (inner: typeof driver, redirectMs: number | undefined) => {
    const registry = createLocalRegistry(createStores(inner), { allowDelete: true, redirectMs })
    const repository = registry.repository(app)
    return repository.blobs.open((await pushBlob(repository, 'blob')).digest)
  }

  t.same(await open(redirecting, 1000), { kind: 'redirect', location })
  t.equal((await open(redirecting, undefined)).kind, 'bytes')
  t.equal((await open(driver, 1000)).kind, 'bytes')
  t.match(asked, [/^\/docker\/registry\/v2\/blobs\/sha256\/.*\/data 1000$/])
})

onEachDriver(
  t,
  'LocalRepository does not send to the driver for what this repository lacks',
  async (t, driver) => {
    const redirecting = { ...driver, redirectUrl: async () => new URL('https://cdn.example/blob') }
    const registry = createLocalRegistry(createStores(redirecting), { allowDelete: true, redirectMs: 1 })
    const { digest } = await pushBlob(registry.repository(app), 'blob')

    await t.rejects(registry.repository(other).blobs.open(digest), BlobUnknownError)
  },
)

onEachDriver(t, 'BlobBody.read() of a blob that vanished since: BlobUnknownError', async (t, driver) => {
  const stores = createStores(driver)
  const repository = createLocalRegistry(stores, { allowDelete: true }).repository(app)
  const { digest } = await pushBlob(repository, 'blob')
  const body = bytesOf(await repository.blobs.open(digest))

  await stores.blobs.remove(digest)

  await t.rejects(body.read(), BlobUnknownError)
  await t.rejects(repository.blobs.stat(digest), BlobUnknownError)
  await t.rejects(repository.blobs.open(digest), BlobUnknownError)
  await t.rejects(
    repository.manifests.put(
      manifestOver([{ mediaType: mediaTypes.octetStream, digest, size: 4 }]),
      mediaTypes.ociManifest,
      tagged('latest'),
    ),
    ReferencesUnknownError,
  )
})

onEachDriver(t, 'LocalRepository survives a restart', async (t, driver) => {
  const before = createLocalRegistry(createStores(driver), { allowDelete: true }).repository(app)
  const { digest } = await pushManifest(before, 'latest')
  const { id } = await uploadsOf(before).start()

  const after = createLocalRegistry(createStores(driver), { allowDelete: true }).repository(app)

  t.equal((await after.manifests.get(tagged('latest'))).descriptor.digest, digest)
  t.equal((await after.blobs.stat(digestOf(Buffer.from('layer of latest')))).size, 15)
  t.equal((await uploadsOf(after).resume(id)).offset, 0)
})
