// Records of mirrored tags: whether they survive a restart, and what broken or outdated ones do.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseTag } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { layout } from '../../lib/storage/layout.ts'
import {
  createMirroredTags,
  isMirrored,
  servedDigest,
  type MirroredTag,
} from '../../lib/storage/mirrored-tags.ts'
import { hold, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'

const name = parseRepositoryName('team/app')
const tag = parseTag('latest')
const [one, two, three] = ['1', '2', '3'].map(text => digestOf(Buffer.from(text))) as [
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
]
const record: MirroredTag = { digest: one, previous: two, upstream: 'hub', checkedAtMs: 1000 }

for (const text of [
  '',
  '{',
  'null',
  '[]',
  '"x"',
  '{"digest":"sha256:no","upstream":"hub","checkedAtMs":1}',
  '{}',
]) {
  void t.test(`MirroredTags.get() takes ${JSON.stringify(text.slice(0, 30))} for no record`, async t => {
    const driver = await openTestDriver(t, 'inmemory')
    await driver.writeAll(layout.mirroredTag(name, tag), Buffer.from(text))

    t.equal(await createMirroredTags(driver).get(name, tag), undefined)
  })
}

onEachDriver(t, 'MirroredTags.set() survives a restart; renew() does not', async (t, driver) => {
  const before = createMirroredTags(driver)
  t.equal(await before.get(name, tag), undefined)
  await before.set(name, tag, record)
  before.renew(name, tag, { ...record, checkedAtMs: 2000 })
  t.equal((await before.get(name, tag))?.checkedAtMs, 2000)

  t.same(await createMirroredTags(driver).get(name, tag), record)
})

onEachDriver(t, 'MirroredTags.forget() forgets on storage, too; absent is fine', async (t, driver) => {
  const tags = createMirroredTags(driver)
  await tags.forget(name, tag)
  await tags.set(name, tag, record)

  await tags.forget(name, tag)

  t.equal(await tags.get(name, tag), undefined)
  t.equal(await createMirroredTags(driver).get(name, tag), undefined)
})

onEachDriver(t, 'MirroredTags keeps tags of repositories within repositories apart', async (t, driver) => {
  const tags = createMirroredTags(driver)
  await tags.set(name, tag, record)
  await tags.set(parseRepositoryName('team'), tag, { ...record, digest: three })

  await tags.forget(parseRepositoryName('team'), tag)

  t.same(await createMirroredTags(driver).get(name, tag), record)
})

for (const change of ['forget', 'set'] as const) {
  void t.test(`MirroredTags.${change}() is not undone by a get() that was under way`, async t => {
    const driver = await openTestDriver(t, 'filesystem')
    await createMirroredTags(driver).set(name, tag, record)
    const reached = hold()
    const { released, release } = hold()
    const held = hooked(driver, async ({ action, when }) => {
      if (action !== 'readAll' || when !== 'after') return
      reached.release()
      await released
    })
    const tags = createMirroredTags(held)
    const getting = tags.get(name, tag)
    await reached.released

    if (change === 'forget') await tags.forget(name, tag)
    else await tags.set(name, tag, { ...record, digest: three })
    release()
    t.same(await getting, record, 'what it was')

    t.equal((await tags.get(name, tag))?.digest, change === 'forget' ? undefined : three)
  })
}

onEachDriver(t, 'MirroredTags keeps what is served and the history over a restart', async (t, driver) => {
  const history = [
    { digest: one, firstSeenMs: 900, lastSeenMs: 1000 },
    { digest: three, firstSeenMs: 1, lastSeenMs: 800 },
  ]
  const held = { ...record, served: three, history }
  await createMirroredTags(driver).set(name, tag, held)

  t.same(await createMirroredTags(driver).get(name, tag), held)
})

for (const [what, members] of [
  ['no history', ''],
  ['a history that is none', ',"history":7'],
  ['a broken history', ',"history":[{"digest":"sha256:no","firstSeenMs":1,"lastSeenMs":1}]'],
]) {
  void t.test(`MirroredTags.get() reads a record with ${what}`, async t => {
    const driver = await openTestDriver(t, 'inmemory')
    const text = `{"digest":"${one}","previous":"${two}","upstream":"hub","checkedAtMs":1000${members}}`
    await driver.writeAll(layout.mirroredTag(name, tag), Buffer.from(text))

    t.same(await createMirroredTags(driver).get(name, tag), {
      ...record,
      ...(members && { history: undefined }),
    })
  })
}

t.test('servedDigest() is what the upstream says, unless another is served', async t => {
  t.equal(servedDigest(record), one)
  t.equal(servedDigest({ ...record, served: three }), three)
})

t.test('isMirrored() takes the digest of the record or the one before, and nothing else', async t => {
  t.equal(isMirrored(undefined, one), false)
  t.equal(isMirrored(record, one), true)
  t.equal(isMirrored(record, two), true)
  t.equal(isMirrored(record, three), false)
  t.equal(isMirrored({ ...record, previous: undefined }, two), false)
  t.equal(isMirrored({ ...record, served: three }, three), true)
})
