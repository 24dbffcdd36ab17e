// What must never be in a content-addressed store: anything unverified, half a blob, or a blob that is only remembered.
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { digestOf, Hasher } from '../../lib/oci/digest.ts'
import { BlobUnknownError, DigestMismatchError } from '../../lib/oci/errors.ts'
import { createBlobStore } from '../../lib/storage/blob-store.ts'
import { createDescriptorCache } from '../../lib/storage/descriptor-cache.ts'
import { layout } from '../../lib/storage/layout.ts'
import { parseStoragePath } from '../../lib/storage/driver/path.ts'
import { filesIn, hold, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'

const bytes = Buffer.from('content of a blob')
const digest = digestOf(bytes)
const other = digestOf(Buffer.from('something else'))
const staged = parseStoragePath('/docker/registry/v2/_fills/staged/data')

onEachDriver(t, 'BlobStore knows nothing that was not stored: BlobUnknownError', async (t, driver) => {
  const blobs = createBlobStore({ driver })

  await t.rejects(blobs.stat(digest), BlobUnknownError)
  await t.rejects(blobs.read(digest), BlobUnknownError)
  await t.rejects(blobs.readAll(digest), BlobUnknownError)
})

onEachDriver(t, 'BlobWriter.commit() keeps nothing of a mismatch', async (t, driver) => {
  const blobs = createBlobStore({ driver, cache: createDescriptorCache(10) })
  const writer = await blobs.create()
  t.teardown(() => writer.release())
  await writer.write(bytes)

  await t.rejects(writer.commit(other, digest), DigestMismatchError)

  t.same(await filesIn(driver), [])
  await t.rejects(blobs.stat(other), BlobUnknownError)
  await t.rejects(blobs.stat(digest), BlobUnknownError)
})

onEachDriver(t, 'BlobStore.put() stores nothing under a digest that is not its own', async (t, driver) => {
  const blobs = createBlobStore({ driver })

  await t.rejects(blobs.put(bytes, other), DigestMismatchError)

  t.same(await filesIn(driver), [])
})

onEachDriver(t, 'BlobWriter.cancel() leaves nothing, however often it is called', async (t, driver) => {
  const blobs = createBlobStore({ driver })
  const writer = await blobs.create()
  await writer.write(bytes)

  await writer.cancel()
  await writer.cancel()
  await writer.release()

  t.same(await filesIn(driver), [])
})

onEachDriver(
  t,
  'BlobWriter shows nothing before commit(), and everything from there on',
  async (t, driver) => {
    const blobs = createBlobStore({ driver, cache: createDescriptorCache(10) })
    const hasher = new Hasher()
    const writer = await blobs.create()
    for (const piece of [bytes.subarray(0, 5), bytes.subarray(5)]) {
      await writer.write(piece)
      hasher.update(piece)
    }
    await t.rejects(blobs.stat(digest), BlobUnknownError)

    const descriptor = await writer.commit(digest, hasher.digest())
    await writer.cancel()

    t.same(descriptor, { mediaType: 'application/octet-stream', digest, size: bytes.length })
    t.same(await blobs.stat(digest), descriptor)
    t.same(await buffer(await blobs.read(digest)), bytes)
    t.same(await filesIn(driver), [layout.blobContent(digest).slice(layout.root.length)])
    t.same(await writer.readWritten?.(0, 7), bytes.subarray(0, 7), 'readers of the staged file go on')
    await writer.release()
  },
)

onEachDriver(
  t,
  'BlobWriter.cancel() after a commit() that failed leaves nothing staged',
  async (t, driver) => {
    const failing = hooked(driver, ({ action, when }) => {
      if (action === 'move' && when === 'before') throw new Error('disk full')
    })
    const blobs = createBlobStore({ driver: failing, cache: createDescriptorCache(10) })
    const writer = await blobs.create()
    await writer.write(bytes)

    await t.rejects(writer.commit(digest, digest), { message: 'disk full' })
    await writer.cancel()
    await writer.release()

    t.same(await filesIn(driver), [])
    await t.rejects(blobs.stat(digest), BlobUnknownError)
  },
)

onEachDriver(t, 'BlobWriter.commit() leaves a blob that is there already', async (t, driver) => {
  const blobs = createBlobStore({ driver })
  await blobs.put(bytes, digest)
  const writes: string[] = []
  const watched = hooked(driver, ({ action, path }) => {
    if (['writeAll', 'move'].includes(action)) writes.push(`${action} ${path}`)
  })
  const writer = await createBlobStore({ driver: watched }).create()
  await writer.write(bytes)

  await writer.commit(digest, digest)
  await writer.release()

  t.same(writes, [])
  t.same(await blobs.readAll(digest), bytes)
  t.equal((await filesIn(driver)).length, 1)
})

onEachDriver(
  t,
  'BlobStore.adopt() moves a file, or removes it where the blob is there',
  async (t, driver) => {
    const blobs = createBlobStore({ driver })
    await driver.writeAll(staged, bytes)
    await blobs.adopt(staged, digest, bytes.length)
    t.same(await blobs.readAll(digest), bytes)
    await driver.writeAll(staged, Buffer.alloc(bytes.length, 'never looked at'))

    const descriptor = await blobs.adopt(staged, digest, bytes.length)

    t.equal(descriptor.size, bytes.length)
    t.same(await blobs.readAll(digest), bytes)
    t.equal((await filesIn(driver)).length, 1)
  },
)

onEachDriver(t, 'BlobStore.put() brings back content that vanished behind the cache', async (t, driver) => {
  const blobs = createBlobStore({ driver, cache: createDescriptorCache(10) })
  await blobs.put(bytes, digest)
  await driver.remove(layout.blobDirectory(digest))
  t.equal((await blobs.stat(digest)).size, bytes.length, 'it is remembered')

  await blobs.put(bytes, digest)

  t.same(await blobs.readAll(digest), bytes)
})

onEachDriver(t, 'BlobStore forgets content that it finds vanished', async (t, driver) => {
  const blobs = createBlobStore({ driver, cache: createDescriptorCache(10) })
  await blobs.put(bytes, digest)
  await driver.remove(layout.blobDirectory(digest))

  await t.rejects(blobs.read(digest), BlobUnknownError)

  await t.rejects(blobs.stat(digest), BlobUnknownError)
})

onEachDriver(t, 'BlobStore.read() reads a part; sha512 works like sha256', async (t, driver) => {
  const blobs = createBlobStore({ driver })
  const long = digestOf(bytes, 'sha512')
  await blobs.put(bytes, long)

  t.equal(String(await buffer(await blobs.read(long, { start: 3, end: 7 }))), 'tent')
  t.same(await filesIn(driver), [layout.blobContent(long).slice(layout.root.length)])
})

onEachDriver(t, 'BlobStore.put() stores the same content once when many come at once', async (t, driver) => {
  const blobs = createBlobStore({ driver, cache: createDescriptorCache(10) })

  await Promise.all(Array.from({ length: 20 }, () => blobs.put(bytes, digest)))

  t.same(await filesIn(driver), [layout.blobContent(digest).slice(layout.root.length)])
})

// The three ways in which something read or written before a removal could be remembered after it.
for (const [what, action, begin] of [
  ['stat()', 'stat', blobs => blobs.stat(digest)],
  ['put() of what is there', 'stat', blobs => blobs.put(bytes, digest)],
  ['put() of what is new', 'writeAll', blobs => blobs.put(bytes, digest)],
  ['adopt()', 'move', blobs => blobs.adopt(staged, digest, bytes.length)],
] as const satisfies readonly (readonly [
  string,
  string,
  (blobs: ReturnType<typeof createBlobStore>) => Promise<unknown>,
])[]) {
  void t.test(`BlobStore.remove() is not undone by ${what} that was under way`, async t => {
    const driver = await openTestDriver(t, 'filesystem')
    if (action === 'stat') await createBlobStore({ driver }).put(bytes, digest)
    await driver.writeAll(staged, bytes)
    const reached = hold()
    const { released, release } = hold()
    const held = hooked(driver, async call => {
      if (call.action !== action || call.when !== 'after') return
      reached.release()
      await released
    })
    const blobs = createBlobStore({ driver: held, cache: createDescriptorCache(10) })
    const underWay = begin(blobs)
    await reached.released

    await blobs.remove(digest)
    release()
    await underWay

    await t.rejects(blobs.stat(digest), BlobUnknownError)
  })
}

t.test('BlobStore.stat() that began during remove() is not remembered after it', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  const reached = hold()
  const { released, release } = hold()
  const held = hooked(driver, async ({ action, when }) => {
    if (action !== 'remove' || when !== 'before') return
    reached.release()
    await released
  })
  const blobs = createBlobStore({ driver: held, cache: createDescriptorCache(10) })
  await blobs.put(bytes, digest)
  const removing = blobs.remove(digest)
  await reached.released

  t.equal((await blobs.stat(digest)).size, bytes.length, 'it is still there')
  release()
  await removing

  await t.rejects(blobs.stat(digest), BlobUnknownError)
})

onEachDriver(t, 'BlobStore takes content in again where its file has the wrong length', async (t, driver) => {
  const blobs = createBlobStore({ driver, cache: createDescriptorCache(10) })
  for (const store of [
    () => blobs.put(bytes, digest),
    async () => {
      await driver.writeAll(staged, bytes)
      await blobs.adopt(staged, digest, bytes.length)
    },
  ]) {
    await driver.writeAll(layout.blobContent(digest), bytes.subarray(1))

    await store()

    t.same(await blobs.readAll(digest), bytes)
    t.match(await blobs.stat(digest), { size: bytes.length })
  }
})

onEachDriver(
  t,
  'BlobWriter.commit() of what is stored does not fail for want of order',
  async (t, driver) => {
    let isBroken = false
    const broken = hooked(driver, ({ action, path }) => {
      if (isBroken && action === 'remove' && path.includes('_fills')) throw new Error('cannot remove')
    })
    const blobs = createBlobStore({ driver: broken })
    const writer = await blobs.create()
    t.teardown(() => writer.release())
    await writer.write(bytes)
    isBroken = true

    t.match(await writer.commit(digest, digest), { digest, size: bytes.length })

    isBroken = false
    await writer.cancel()
    t.same(await blobs.readAll(digest), bytes)
  },
)
