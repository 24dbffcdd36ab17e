// What is staged is its writer's alone, until it is committed or kept; then it is never written to again.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { createBlobStore } from '../../lib/storage/blob-store.ts'
import { layout } from '../../lib/storage/layout.ts'
import { stageKept } from '../../lib/storage/staged-blobs.ts'
import { filesIn, hooked, onEachDriver } from '../support/stores.ts'

const bytes = Buffer.from('content of a blob')
const half = bytes.subarray(0, 8)
const digest = digestOf(bytes)
const partial = layout.partialFill(digest).slice(layout.root.length)

onEachDriver(t, 'BlobWriter.keep() keeps nothing of what may become anything', async (t, driver) => {
  const writer = await createBlobStore({ driver }).create()
  await writer.write(half)

  await writer.keep()
  await writer.release()

  t.same(await filesIn(driver), [])
})

onEachDriver(t, 'BlobWriter.keep() that fails leaves nothing staged', async (t, driver) => {
  const failing = hooked(driver, ({ action, when }) => {
    if (action === 'move' && when === 'before') throw new Error('input/output error')
  })
  const writer = await createBlobStore({ driver: failing }).create({ digest })
  await writer.write(half)

  await t.rejects(writer.keep(), { message: 'input/output error' })
  await writer.cancel()
  await writer.release()

  t.same(await filesIn(driver), [])
})

onEachDriver(
  t,
  'BlobWriter.keep() of a file that another process took away harms nothing',
  async (t, driver) => {
    const writer = await createBlobStore({ driver }).create({ digest })
    await writer.write(half)
    const [staged] = await filesIn(driver)
    t.match(staged, new RegExp(`^/_fills/sha256-${digest.slice(7)}\\.[0-9a-f-]{36}/data$`))
    await driver.remove(layout.fills)

    await t.rejects(writer.keep(), { name: 'PathNotFoundError' })
    await writer.release()

    t.same(await filesIn(driver), [])
  },
)

onEachDriver(t, 'stageKept() finds nothing where nothing was kept', async (t, driver) => {
  t.equal(await stageKept({ driver, adopt: createBlobStore({ driver }).adopt }, digest), undefined)
  t.same(await filesIn(driver), [])
})

onEachDriver(t, 'stageKept() that cannot open what it has taken leaves nothing', async (t, driver) => {
  await driver.writeAll(layout.partialFill(digest), half)
  const failing = hooked(driver, ({ action }) => {
    if (action === 'openWriter') throw new Error('too many open files')
  })

  await t.rejects(stageKept({ driver: failing, adopt: createBlobStore({ driver }).adopt }, digest), {
    message: 'too many open files',
  })

  t.same(await filesIn(driver), [])
})

onEachDriver(
  t,
  'BlobWriter.readWritten() goes on after cancel() and keep(), until release()',
  async (t, driver) => {
    for (const end of ['cancel', 'keep'] as const) {
      const writer = await createBlobStore({ driver }).create({ digest })
      await writer.write(bytes)

      await writer[end]()

      t.same(await writer.readWritten?.(3, 5), bytes.subarray(3, 8), end)
      await writer.release()
      await t.rejects(async () => void (await writer.readWritten?.(3, 5)), { name: 'StorageError' })
    }
  },
)

onEachDriver(t, 'stageKept() goes on with what was kept, and only one can', async (t, driver) => {
  const blobs = createBlobStore({ driver })
  const first = await blobs.create({ digest })
  await first.write(half)
  await first.keep()
  await first.cancel()
  await first.release()
  t.same(await filesIn(driver), [partial])

  const taken = await Promise.all([1, 2].map(() => stageKept({ driver, adopt: blobs.adopt }, digest)))

  const [writer, ...others] = taken.filter(one => one !== undefined)
  t.same(others, [])
  t.equal(writer?.bytesWritten, half.length)
  await writer?.write(bytes.subarray(half.length))
  await writer?.commit(digest, digest)
  await writer?.release()
  t.same(await blobs.readAll(digest), bytes)
  t.same(await filesIn(driver), [layout.blobContent(digest).slice(layout.root.length)])
})

onEachDriver(t, 'BlobWriter.keep() leaves what is longer than its own', async (t, driver) => {
  for (const [size, kept] of [
    [4, half],
    [12, bytes.subarray(0, 12)],
  ] as const) {
    await driver.writeAll(layout.partialFill(digest), half)
    const writer = await createBlobStore({ driver }).create({ digest })
    await writer.write(bytes.subarray(0, size))

    await writer.keep()
    await writer.release()

    t.same(await driver.readAll(layout.partialFill(digest)), kept)
    t.same(await filesIn(driver), [partial])
  }
})
