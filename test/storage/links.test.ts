// Links that are missing, broken, foreign, or removed while somebody looks.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createDescriptorCache } from '../../lib/storage/descriptor-cache.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { CorruptLinkError, createLinks, readLink } from '../../lib/storage/links.ts'
import { filesIn, hold, hooked, onEachDriver, openTestDriver, type DriverCall } from '../support/stores.ts'

const name = parseRepositoryName('team/app')
const digest = digestOf(Buffer.from('x'))
const path = layout.layerLink(name, digest)

const cachedLinks = (driver: StorageDriver) => createLinks({ driver, cache: createDescriptorCache(10) })

for (const text of [
  '',
  'sha256:',
  'rubbish',
  digest.slice(0, -1),
  `${digest}0`,
  digest.toUpperCase(),
  '\0'.repeat(71),
]) {
  void t.test(`readLink() refuses a link file that holds ${JSON.stringify(text.slice(0, 20))}`, async t => {
    const driver = await openTestDriver(t, 'inmemory')
    await driver.writeAll(path, Buffer.from(text))

    await t.rejects(readLink(driver, path), CorruptLinkError)
    await t.rejects(cachedLinks(driver).resolve(name, 'layer', digest), CorruptLinkError)
  })
}

onEachDriver(t, 'Links.unlink() removes a link file that is broken', async (t, driver) => {
  await driver.writeAll(path, Buffer.from(''))
  const links = cachedLinks(driver)

  t.equal(await links.unlink(name, 'layer', digest), true)

  t.equal(await links.resolve(name, 'layer', digest), undefined)
})

onEachDriver(t, 'Links.resolve() finds nothing where nothing was linked', async (t, driver) => {
  const links = cachedLinks(driver)
  await links.link(name, 'manifest', digest)

  t.equal(await links.resolve(name, 'layer', digest), undefined, 'a manifest is no layer')
  t.equal(await links.resolve(parseRepositoryName('team'), 'manifest', digest), undefined)
  t.equal(await links.unlink(name, 'layer', digest), false)
  t.equal(await readLink(driver, path), undefined)
})

onEachDriver(
  t,
  'Links.resolve() follows a link to another digest, with or without a newline',
  async (t, driver) => {
    const long = digestOf(Buffer.from('x'), 'sha512')
    await driver.writeAll(layout.layerLink(name, long), Buffer.from(`${digest}\n`))

    t.equal(await cachedLinks(driver).resolve(name, 'layer', long), digest)
  },
)

onEachDriver(
  t,
  'Links.link() writes the digest and nothing else; resolve() asks the driver once',
  async (t, driver) => {
    const reads: string[] = []
    const watched = hooked(driver, call => void (call.action === 'readAll' && reads.push(call.path)))
    await createLinks({ driver }).link(name, 'layer', digest)
    const links = cachedLinks(watched)

    t.equal(await links.resolve(name, 'layer', digest), digest)
    const before = reads.length
    t.equal(await links.resolve(name, 'layer', digest), digest)

    t.equal(reads.length, before)
    t.equal(String(await driver.readAll(path)), digest)
    t.same(await filesIn(driver), [path.slice(layout.root.length)])
  },
)

onEachDriver(t, 'Links.unlink() is seen at once, and link() after it', async (t, driver) => {
  const links = cachedLinks(driver)
  await links.link(name, 'layer', digest)
  await links.resolve(name, 'layer', digest)

  t.equal(await links.unlink(name, 'layer', digest), true)
  t.equal(await links.resolve(name, 'layer', digest), undefined)
  t.equal(await links.unlink(name, 'layer', digest), false)

  await links.link(name, 'layer', digest)
  t.equal(await links.resolve(name, 'layer', digest), digest)
})

/** Lets `action` finish on storage, but be answered only when the test releases it. */
function heldAfter(driver: StorageDriver, action: DriverCall['action']) {
  const reached = hold()
  const { released, release } = hold()
  let isFirst = true
  const held = hooked(driver, async call => {
    if (call.action !== action || call.when !== 'after' || !isFirst) return
    isFirst = false
    reached.release()
    await released
  })
  return { held, reached: reached.released, release }
}

t.test('Links.unlink() is not undone by a resolve() that was under way', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  await createLinks({ driver }).link(name, 'layer', digest)
  const { held, reached, release } = heldAfter(driver, 'readAll')
  const links = cachedLinks(held)
  const resolving = links.resolve(name, 'layer', digest)
  await reached

  await links.unlink(name, 'layer', digest)
  release()
  t.equal(await resolving, digest, 'it was there')

  t.equal(await links.resolve(name, 'layer', digest), undefined)
})

t.test('Links.unlink() is not undone by a link() that was under way', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  const { held, reached, release } = heldAfter(driver, 'writeAll')
  const links = cachedLinks(held)
  const linking = links.link(name, 'layer', digest)
  await reached

  t.equal(await links.unlink(name, 'layer', digest), true)
  release()
  await linking

  t.equal(await links.resolve(name, 'layer', digest), undefined)
})

t.test('Links.unlink() is not undone by a resolve() that began during it', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  const reached = hold()
  const { released, release } = hold()
  const held = hooked(driver, async ({ action, when }) => {
    if (action !== 'remove' || when !== 'before') return
    reached.release()
    await released
  })
  const links = cachedLinks(held)
  await links.link(name, 'layer', digest)
  const unlinking = links.unlink(name, 'layer', digest)
  await reached.released
  t.equal(await links.resolve(name, 'layer', digest), digest, 'it is still there')

  release()
  await unlinking

  t.equal(await links.resolve(name, 'layer', digest), undefined)
})
