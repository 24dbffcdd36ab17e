// The index of referrers: what it keeps, and what crashes, other programs and other processes leave of it.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { subjectOf } from '../../lib/storage/referrer-index.ts'
import { referrerTo } from '../support/referrers.ts'
import { createStores, filesIn, hold, hooked, onEachDriver } from '../support/stores.ts'

const name = parseRepositoryName('team/app')
const subject = digestOf(Buffer.from('subject'))
const other = digestOf(Buffer.from('other'), 'sha512')
const one = referrerTo(subject, 'one')
const two = referrerTo(subject, 'two')
const digests = (...all: readonly Buffer[]) => all.map(bytes => digestOf(bytes)).toSorted()

/** Stores a manifest as distribution does: without an entry in the index. */
async function storePlainly(driver: StorageDriver, bytes: Buffer): Promise<void> {
  const { blobs, links } = createStores(driver)
  await blobs.put(bytes, digestOf(bytes))
  await links.link(name, 'manifest', digestOf(bytes))
}

t.test('subjectOf() finds none in what is no manifest, or has none', async t => {
  const long = Buffer.concat([one, Buffer.alloc(4 * 1024 * 1024, ' ')])
  for (const bytes of [
    Buffer.from('no manifest'),
    Buffer.from('{}'),
    referrerTo(subject, '', { subject: null }),
    long,
  ]) {
    t.equal(subjectOf(bytes), undefined)
  }
  t.equal(subjectOf(one), subject)
})

onEachDriver(
  t,
  'ReferrerIndex.candidates() leaves no trace of a repository that is not there',
  async (t, driver) => {
    const { referrers } = createStores(driver)

    t.same(await referrers.candidates(name, subject), [])
    t.same(await filesIn(driver), [])
  },
)

onEachDriver(t, 'ReferrerIndex.candidates() keeps subjects and algorithms apart', async (t, driver) => {
  const { manifests, referrers } = createStores(driver)
  const third = referrerTo(other, 'three')
  for (const bytes of [one, two, third]) await manifests.store(name, bytes, digestOf(bytes))
  const long = digestOf(one, 'sha512')
  await referrers.add(name, subject, long)

  t.same(await referrers.candidates(name, subject), [...digests(one, two), long])
  t.same(await referrers.candidates(name, other), digests(third))
  t.same(await referrers.candidates(parseRepositoryName('team/other'), subject), [])
})

onEachDriver(t, 'ManifestStore.store() indexes a subject before it links the revision', async (t, driver) => {
  const written: string[] = []
  const watched = hooked(driver, ({ action, path, when }) => {
    if (action === 'writeAll' && when === 'after') written.push(path)
  })
  const digest = digestOf(one)

  await createStores(watched).manifests.store(name, one, digest)

  t.same(written.slice(-2), [layout.referrerLink(name, subject, digest), layout.revisionLink(name, digest)])
})

onEachDriver(
  t,
  'ReferrerIndex.candidates() finds what other programs have stored, once',
  async (t, driver) => {
    await storePlainly(driver, one)
    await storePlainly(
      driver,
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex })),
    )
    let reads = 0
    const counted = hooked(driver, ({ action, path, when }) => {
      if (action === 'readAll' && when === 'before' && path.endsWith('/data')) reads++
    })
    const { referrers } = createStores(counted)

    const both = await Promise.all([referrers.candidates(name, subject), referrers.candidates(name, other)])
    t.same(both, [digests(one), []])
    t.equal(reads, 2, 'one walk for both questions')
    t.same(await referrers.candidates(name, subject), digests(one))
    t.same(await createStores(counted).referrers.candidates(name, subject), digests(one), 'after a restart')
    t.equal(reads, 2)
  },
)

onEachDriver(t, 'ReferrerIndex.candidates() passes over broken revisions', async (t, driver) => {
  const { blobs, referrers } = createStores(driver)
  await storePlainly(driver, one)
  await storePlainly(driver, two)
  await storePlainly(driver, Buffer.from('no manifest'))
  await blobs.remove(digestOf(two))
  await driver.writeAll(layout.revisionLink(name, digestOf(Buffer.from('x'))), Buffer.from('no digest'))

  t.same(await referrers.candidates(name, subject), digests(one))
})

onEachDriver(t, 'ReferrerIndex.candidates() begins again where a walk has failed', async (t, driver) => {
  await storePlainly(driver, one)
  await storePlainly(driver, two)
  let isFull = true
  const failing = hooked(driver, ({ action, path, when }) => {
    if (isFull && action === 'writeAll' && when === 'before' && path.includes(digestOf(two).slice(7))) {
      throw new Error('disk full')
    }
  })
  const { referrers } = createStores(failing)

  await t.rejects(referrers.candidates(name, subject), { message: 'disk full' })
  t.notOk((await filesIn(driver)).some(path => path.endsWith('/indexed')))
  isFull = false
  t.same(await referrers.candidates(name, subject), digests(one, two))
  t.ok((await filesIn(driver)).some(path => path.endsWith('/indexed')))
})

onEachDriver(
  t,
  'ReferrerIndex.candidates() misses nothing that is pushed during its walk',
  async (t, driver) => {
    await storePlainly(driver, one)
    const { released, release } = hold()
    const { released: isWalking, release: walks } = hold()
    const held = hooked(driver, async ({ action, path, when }) => {
      if (action !== 'writeAll' || when !== 'before' || !path.endsWith('/indexed')) return
      walks()
      await released
    })
    const walking = createStores(held).referrers.candidates(name, subject)
    await isWalking

    await createStores(driver).manifests.store(name, two, digestOf(two))
    release()

    t.same(await walking, digests(one, two))
  },
)

onEachDriver(t, 'ReferrerIndex.candidates() walks on for others when one has left', async (t, driver) => {
  await storePlainly(driver, one)
  const { released, release } = hold()
  const held = hooked(driver, async ({ action, when }) => {
    if (action === 'writeAll' && when === 'before') await released
  })
  const { referrers } = createStores(held)
  const controller = new AbortController()

  const leaving = referrers.candidates(name, subject, { signal: controller.signal })
  const staying = referrers.candidates(name, subject)
  controller.abort(new Error('left'))
  await t.rejects(leaving, { message: 'left' })
  release()

  t.same(await staying, digests(one))
})
