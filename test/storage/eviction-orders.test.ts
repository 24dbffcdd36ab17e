// Fill, push and eviction of the same content in any order, also cut off at any storage call: what was pushed stays.
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { createRemoval } from '../../lib/eviction/removal.ts'
import { createLogger } from '../../lib/log.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createLocalRegistry, type Stores } from '../../lib/registry/local.ts'
import { InMemoryDriver } from '../../lib/storage/driver/inmemory/driver.ts'
import { parseStoragePath } from '../../lib/storage/driver/path.ts'
import { unlessAbsent } from '../../lib/storage/driver/unless-absent.ts'
import { layout } from '../../lib/storage/layout.ts'
import { MirroredContent } from '../../lib/storage/mirrored-content.ts'
import { readMarker } from '../../lib/storage/mirrored-marker.ts'
import { createMirroredTags } from '../../lib/storage/mirrored-tags.ts'
import { inEveryOrder, inSomeOrders, type Step } from '../support/every-order.ts'
import { createStores, hooked } from '../support/stores.ts'

const mirror = parseRepositoryName('library/app')
const own = parseRepositoryName('team/app')
const bytes = Buffer.from('content of a blob')
const digest = digestOf(bytes)
const fetched = parseStoragePath('/docker/registry/v2/_fills/one/data')
const received = parseStoragePath('/docker/registry/v2/_fills/two/data')
const logger = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })

interface World {
  readonly inner: InMemoryDriver
  readonly stores: Stores
  evict(): Promise<unknown>
}

async function begin(step: Step): Promise<World> {
  const inner = new InMemoryDriver(systemClock)
  const stores = createStores(hooked(inner, step))
  await stores.mirroredContent.loaded()
  const remove = createRemoval({ stores, mirroredTags: createMirroredTags(stores.driver, 10) })
  return {
    inner,
    stores,
    async evict() {
      for (const entry of [...stores.mirroredContent.entries()]) await remove(entry, () => true)
    },
  }
}

interface Outcome {
  readonly isPushed: boolean
  /** Whether everything came to its end. */
  readonly isWhole: boolean
  readonly trace: readonly string[]
}

/** What holds after any order, and after a restart. */
async function checkContent(
  t: Test,
  { inner, stores: { mirroredContent } }: World,
  { isPushed, isWhole, trace }: Outcome,
  content: Buffer,
): Promise<void> {
  const expect = (holds: boolean, what: string) => holds || t.fail(what, { trace })
  const digest = digestOf(content)
  const stored = await unlessAbsent(() => inner.stat(layout.blobContent(digest)))
  const marker = await readMarker(inner, digest)
  const known = mirroredContent.get(digest)
  if (isPushed) {
    expect(stored?.size === content.length, 'what was pushed is there')
    expect(marker === undefined, 'what was pushed is not marked')
  }
  if (isWhole) {
    expect((known === undefined) === (marker === undefined), 'memory says what storage says')
    expect(known === undefined || stored !== undefined, 'what is marked is there')
    expect(mirroredContent.usedBytes === (known?.size ?? 0), 'the bytes that are used are right')
  }

  const restarted = new MirroredContent({ driver: inner, clock: systemClock, logger })
  await restarted.loaded()
  const found = restarted.get(digest)
  expect(!isPushed || found === undefined, 'what was pushed is not marked after a restart')
  expect(found === undefined || stored !== undefined, 'no marker without content is left by a restart')
}

function fetchedAndPushed(t: Test, before: 'absent' | 'mirrored' | 'pushed') {
  return async (step: Step) => {
    const world = await begin(step)
    const { blobs, links } = world.stores
    if (before !== 'absent') {
      await world.inner.writeAll(fetched, bytes)
      await blobs.adopt(fetched, digest, bytes.length, before === 'mirrored' ? { mirrored: mirror } : {})
      await links.link(mirror, 'layer', digest)
    }
    await world.inner.writeAll(fetched, bytes)
    await world.inner.writeAll(received, bytes)
    return {
      tasks: {
        async fill() {
          await blobs.adopt(fetched, digest, bytes.length, { mirrored: mirror })
          await links.link(mirror, 'layer', digest)
        },
        async push() {
          await blobs.adopt(received, digest, bytes.length)
          await links.link(own, 'layer', digest)
        },
        evict: world.evict,
      },
      async check(done: ReadonlySet<string>, trace: readonly string[]) {
        const isPushed = before === 'pushed' || done.has('push')
        await checkContent(t, world, { isPushed, isWhole: done.size === 3, trace }, bytes)
        const link = await unlessAbsent(() => world.inner.stat(layout.layerLink(own, digest)))
        if (done.has('push') && link === undefined) t.fail('what was pushed is linked', { trace })
      },
    }
  }
}

for (const before of ['absent', 'mirrored', 'pushed'] as const) {
  void t.test(`a blob that is ${before} is fetched, pushed and evicted in every order`, async t => {
    const runs = await inEveryOrder(fetchedAndPushed(t, before))

    t.ok(runs > 50, `${runs} orders`)
  })

  void t.test(`a blob that is ${before} is fetched, pushed and evicted until a crash`, async t => {
    await inSomeOrders(fetchedAndPushed(t, before), 100)

    t.pass()
  })
}

t.test('a manifest is mirrored, pushed to the same place and evicted with its tag', async t => {
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest }))
  const digest = digestOf(manifest)
  const latest = parseTag('latest')
  const mine = parseTag('mine')

  await inSomeOrders(async step => {
    const world = await begin(step)
    const { manifests, tags, driver } = world.stores
    const local = createLocalRegistry(world.stores, { allowDelete: true }).repository(mirror)
    await manifests.store(mirror, manifest, digest, { mirrored: true })
    const record = { digest, upstream: 'test', checkedAtMs: 0 }
    await createMirroredTags(driver, 10).set(mirror, latest, record)
    await tags.set(mirror, latest, digest)
    return {
      tasks: {
        fill: () => manifests.store(mirror, manifest, digest, { mirrored: true }),
        push: () => local.manifests.put(manifest, mediaTypes.ociManifest, tagReference(mine)),
        evict: world.evict,
      },
      async check(done, trace) {
        const isPushed = done.has('push')
        await checkContent(t, world, { isPushed, isWhole: done.size === 3, trace }, manifest)
        if (!isPushed) return
        const restarted = createLocalRegistry(createStores(world.inner), { allowDelete: true })
        const found = await restarted.repository(mirror).manifests.get(tagReference(mine))
        if (!found.bytes.equals(manifest)) t.fail('what was pushed is given out', { trace })
      },
    }
  }, 300)

  t.pass()
})
