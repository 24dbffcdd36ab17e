// Directories that distribution filled as a mirror, as they are taken over.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseTag } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { adoptMirroredTags } from '../../lib/storage/adopt-mirrored-tags.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { parseStoragePath } from '../../lib/storage/driver/path.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createMirroredTags } from '../../lib/storage/mirrored-tags.ts'
import { createTagStore } from '../../lib/storage/tag-store.ts'
import { hooked, onEachDriver, openTestDriver } from '../support/stores.ts'

const alpine = parseRepositoryName('library/alpine')
const adopted = parseRepositoryName('adopted')
const latest = parseTag('latest')
const edge = parseTag('edge')
const [one, two] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'))]
const state = parseStoragePath('/scheduler-state.json')

/** A tree with two tags of one repository and one of another, and a repository without tags. */
async function fill(driver: StorageDriver, isMirror = true): Promise<void> {
  const tags = createTagStore({ driver, concurrency: 2 })
  await tags.set(alpine, latest, one)
  await tags.set(alpine, edge, two)
  await tags.set(adopted, latest, two)
  await driver.writeAll(layout.revisionLink(parseRepositoryName('untagged'), one), Buffer.from(one))
  if (isMirror) await driver.writeAll(state, Buffer.from('{}'))
}

onEachDriver(t, 'adoptMirroredTags() leaves alone what was no mirror', async (t, driver) => {
  await fill(driver, false)

  t.equal(await adoptMirroredTags(driver, 'docker.io'), undefined)
  t.equal(await createMirroredTags(driver).get(alpine, latest), undefined)
})

onEachDriver(t, 'adoptMirroredTags() writes a record for each tag, to be asked for', async (t, driver) => {
  await fill(driver)
  const { modifiedAtMs } = await driver.stat(layout.tagCurrent(alpine, latest))

  t.equal(await adoptMirroredTags(driver, 'docker.io'), 3)

  const records = createMirroredTags(driver)
  t.match(await records.get(alpine, latest), {
    digest: one,
    upstream: 'docker.io',
    checkedAtMs: 0,
    history: [{ digest: one, firstSeenMs: modifiedAtMs }],
  })
  t.match(await records.get(alpine, edge), { digest: two })
  t.match(await records.get(adopted, latest), { digest: two })
})

onEachDriver(t, 'adoptMirroredTags() happens once: what is pushed later is ours', async (t, driver) => {
  await fill(driver)
  await adoptMirroredTags(driver, 'docker.io')
  await createMirroredTags(driver).forget(alpine, latest)

  t.equal(await adoptMirroredTags(driver, 'docker.io'), undefined)
  t.equal(await createMirroredTags(driver).get(alpine, latest), undefined)
})

onEachDriver(t, 'adoptMirroredTags() leaves a tree that we mirrored into before', async (t, driver) => {
  await fill(driver)
  const record = { digest: one, upstream: 'hub', checkedAtMs: 5 }
  await createMirroredTags(driver).set(alpine, latest, record)

  t.equal(await adoptMirroredTags(driver, 'docker.io'), undefined)
  t.equal(await createMirroredTags(driver).get(alpine, edge), undefined, 'it may have been pushed')
})

t.test('adoptMirroredTags() goes on after a crash, and keeps what was written', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  await fill(driver)
  let writes = 0
  const crashing = hooked(driver, ({ action, when, path }) => {
    if (action === 'writeAll' && when === 'before' && path.endsWith('/record') && ++writes > 1)
      throw new Error('crash')
  })
  await t.rejects(adoptMirroredTags(crashing, 'docker.io'), { message: 'crash' })

  t.equal(await adoptMirroredTags(driver, 'docker.io'), 2)

  for (const [name, tag] of [
    [alpine, latest],
    [alpine, edge],
    [adopted, latest],
  ] as const) {
    t.ok(await createMirroredTags(driver).get(name, tag))
  }
})

t.test('adoptMirroredTags() passes over tags that are broken', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  await fill(driver)
  await driver.writeAll(layout.tagCurrent(alpine, edge), Buffer.from('no digest'))
  await driver.remove(layout.tagCurrent(adopted, latest))

  t.equal(await adoptMirroredTags(driver, 'docker.io'), 1)
})
