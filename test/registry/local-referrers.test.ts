// Referrers in a directory that several processes, and other programs, write to.
import fs from 'node:fs'
import t from 'tap'
import { digestOf, parseDigest, type Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference } from '../../lib/oci/reference.ts'
import { referrersTag } from '../../lib/oci/referrers-tag.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import type { Repository } from '../../lib/registry/registry.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { entryOf, fallbackIndex, referrerTo } from '../support/referrers.ts'
import { createStores, filesIn, hold, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'
import { app, removeManifest } from './suite/content.ts'

const subject = digestOf(Buffer.from('subject'))
const one = referrerTo(subject, 'one')
const two = referrerTo(subject, 'two')

/** A process of its own over the driver. */
function process(driver: StorageDriver): Repository {
  return createLocalRegistry(createStores(driver), { allowDelete: true }).repository(app)
}

async function push(repository: Repository, bytes: Buffer): Promise<void> {
  await repository.manifests.put(bytes, mediaTypes.ociIndex, digestReference(digestOf(bytes)))
}

async function listed(repository: Repository, of: Digest = subject): Promise<readonly Digest[]> {
  return (await repository.referrers.list(of, {}, {})).items.map(({ digest }) => digest)
}

onEachDriver(
  t,
  'LocalRepository.referrers shows what another process pushed, not what it deleted',
  async (t, driver) => {
    const here = process(driver)
    const there = process(driver)
    await push(here, one)
    t.same(await listed(there), [digestOf(one)])

    await push(there, two)
    await removeManifest(there, digestOf(one))

    t.same(await listed(here), [digestOf(two)])
  },
)

onEachDriver(t, 'LocalRepository.referrers does not show a push that was cut short', async (t, driver) => {
  for (const lost of [
    layout.referrerLink(app, subject, digestOf(one)),
    layout.revisionLink(app, digestOf(one)),
  ]) {
    const crashing = hooked(driver, ({ action, path, when }) => {
      if (action === 'writeAll' && when === 'before' && path === lost) throw new Error('power cut')
    })
    await t.rejects(push(process(crashing), one), { message: 'power cut' })

    t.same(await listed(process(driver)), [])
  }

  await push(process(driver), one)
  t.same(await listed(process(driver)), [digestOf(one)])
})

onEachDriver(
  t,
  'LocalRepository.referrers agrees with manifests however push and deletion meet',
  async (t, driver) => {
    const digest = digestOf(one)
    const paths = [
      layout.blobContent(digest),
      layout.referrerLink(app, subject, digest),
      layout.revisionLink(app, digest),
    ]
    for (const path of paths) {
      for (const when of ['before', 'after'] as const) {
        const at = hold()
        const go = hold()
        const held = hooked(driver, async call => {
          if (call.action !== 'writeAll' || call.path !== path || call.when !== when) return
          at.release()
          await go.released
        })
        await driver.remove(layout.repository(app))
        await driver.remove(layout.blobDirectory(digest))
        const pushing = push(process(held), one)
        await at.released
        const removing = removeManifest(process(driver), digest).catch(() => {})
        await removing
        const during = await listed(process(driver))
        go.release()
        await pushing

        const holds = await process(driver)
          .manifests.get(digestReference(digest))
          .then(
            () => true,
            () => false,
          )
        t.same(during, [], `${when} ${path}: deleted`)
        t.same(await listed(process(driver)), holds ? [digest] : [], `${when} ${path}: in the end`)
      }
    }
  },
)

onEachDriver(
  t,
  'LocalRepository.referrers equals the survivors of many processes’ writes',
  async (t, driver) => {
    const [ours, theirs, others] = [process(driver), process(driver), process(driver)]
    const all = [...Array(50).keys()].map(i => referrerTo(subject, String(i)))

    await Promise.all(
      all.map(async (bytes, i) => {
        const [first, second, third] = i % 2 === 0 ? [ours, theirs, others] : [others, ours, theirs]
        await push(first, bytes)
        await listed(third)
        if (i % 3 === 0) await removeManifest(second, digestOf(bytes))
        if (i % 9 === 0) await push(third, bytes)
      }),
    )

    const survivors = all.filter((_, i) => i % 3 !== 0 || i % 9 === 0).map(bytes => digestOf(bytes))
    for (const repository of [ours, theirs, others]) t.same(await listed(repository), survivors.toSorted())
  },
)

onEachDriver(
  t,
  'LocalRepository.referrers merges in a fallback tag that others wrote later',
  async (t, driver) => {
    const repository = process(driver)
    await push(repository, one)
    t.same(await listed(repository), [digestOf(one)], 'the index is complete')
    const { blobs, links, tags } = createStores(driver)
    const lost = referrerTo(subject, 'never pushed')
    const tagged = fallbackIndex([one, two, lost])
    for (const bytes of [two, tagged]) {
      await blobs.put(bytes, digestOf(bytes))
      await links.link(app, 'manifest', digestOf(bytes))
    }
    await tags.set(app, referrersTag(subject), digestOf(tagged))

    const { items } = await repository.referrers.list(subject, {}, {})

    t.same(
      items,
      [one, two].map(entryOf).toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
    )
  },
)

onEachDriver(t, 'LocalRepository.referrers is not stopped by what is broken', async (t, driver) => {
  const repository = process(driver)
  const { blobs, referrers, tags } = createStores(driver)
  const broken = digestOf(Buffer.from('a link that holds no digest'))
  const tag = referrersTag(subject)
  for (const bytes of [one, two]) await push(repository, bytes)
  await blobs.remove(digestOf(two))
  await referrers.add(app, subject, broken)
  await driver.writeAll(layout.revisionLink(app, broken), Buffer.from('broken'))
  await driver.writeAll(layout.tagCurrent(app, tag), Buffer.from('broken'))

  t.same(await listed(process(driver)), [digestOf(one)])
  await tags.set(app, tag, digestOf(two))
  t.same(await listed(process(driver)), [digestOf(one)], 'the tag has lost its manifest')
})

t.test('LocalRepository.referrers finds the artifact in a tree that distribution wrote', async t => {
  const root = t.testdir({})
  fs.cpSync('fixtures/distribution-tree', root, { recursive: true })
  const driver = await openTestDriver(t, 'filesystem', { root })
  const hello = parseRepositoryName('library/hello')
  const registry = createLocalRegistry(createStores(driver), { allowDelete: true })
  const { bytes } = await registry
    .repository(hello)
    .manifests.get(
      digestReference(parseDigest('sha256:14b26008dadf340afad79dd3e67b2f1466835df32c1e08407120483796f785e1')),
    )
  const { subject: named } = JSON.parse(bytes.toString()) as { readonly subject: { readonly digest: string } }

  const { items } = await registry.repository(hello).referrers.list(parseDigest(named.digest), {}, {})

  t.match(items, [{ mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length }])
  t.type(items[0]?.artifactType, 'string')
  const own = (await filesIn(driver)).filter(path => path.includes('/_referrers/'))
  t.equal(own.length, 2, 'one entry and the marker')
  t.same((await registry.repositories({})).items, [
    'a.b/c__d/e--f',
    'library/hello',
    'multi/arch',
    'multi/docker',
  ])
})
