// Which folders are repositories.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { listRepositories, listUploadPlaces } from '../../lib/storage/catalog.ts'
import { parseStoragePath } from '../../lib/storage/driver/path.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createStores, onEachDriver } from '../support/stores.ts'

const digest = digestOf(Buffer.from('x'))

onEachDriver(t, 'listRepositories() finds nothing in an empty store', async (t, driver) => {
  t.same(await listRepositories(driver), [])
})

onEachDriver(
  t,
  'listRepositories() finds whoever has or had a manifest, at any depth, in byte order',
  async (t, driver) => {
    const { links } = createStores(driver)
    const names = ['b', 'a/b/c', 'a', 'a-b', 'a/b', 'Host.example/x'].map(parseRepositoryName)
    for (const name of names) await links.link(name, 'manifest', digest)
    await links.unlink(parseRepositoryName('b'), 'manifest', digest)

    t.same(await listRepositories(driver), ['Host.example/x', 'a', 'a-b', 'a/b', 'a/b/c', 'b'])
  },
)

onEachDriver(
  t,
  'listRepositories() leaves out blobs alone, uploads, stray files and what is no name',
  async (t, driver) => {
    const { links, uploads } = createStores(driver)
    await links.link(parseRepositoryName('only/blobs'), 'layer', digest)
    await uploads.start(parseRepositoryName('only/uploads'))
    for (const path of ['stray', 'a/stray', 'UPPER/_manifests/x', '_manifests/x', 'a..b/_manifests/x']) {
      await driver.writeAll(parseStoragePath(`${layout.repositories}/${path}`), Buffer.from('x'))
    }

    t.same(await listRepositories(driver), [])
  },
)

onEachDriver(t, 'listRepositories() rejects with the reason when it is aborted', async (t, driver) => {
  const reason = new Error('gone')

  await t.rejects(listRepositories(driver, { signal: AbortSignal.abort(reason) }), reason)
})

onEachDriver(
  t,
  'listUploadPlaces() finds whoever has upload sessions, with manifests or without',
  async (t, driver) => {
    const { uploads } = createStores(driver)
    t.same(await listUploadPlaces(driver), [])

    for (const name of ['b/uploads', 'a', 'a/b/c']) await uploads.start(parseRepositoryName(name))

    t.same(await listUploadPlaces(driver), ['a', 'a/b/c', 'b/uploads'])
  },
)
