// Files while they are being written: parts, what a process that died leaves, and what becomes of it.
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { systemClock } from '../../../../lib/clock.ts'
import type { FileWriter, StorageDriver } from '../../../../lib/storage/driver/driver.ts'
import { S3Driver } from '../../../../lib/storage/driver/s3/driver.ts'
import { startS3Server } from '../../../support/s3-server.ts'
import { at, pattern, walked } from '../suite.ts'

const mebibyte = 1024 * 1024
const chunk = 5 * mebibyte
const part = (offset: number) => `/~${String(offset).padStart(16, '0')}`

async function open(t: Test) {
  const server = await startS3Server(t)
  const config = server.config({ rootdirectory: '/root', chunksize: chunk })
  const driver = new S3Driver(config, { clock: systemClock })
  const { endpoint, region, credentials, isPathStyle: forcePathStyle } = config
  if (endpoint === undefined || credentials === undefined) throw new TypeError('no server of our own')
  const client = new S3Client({ endpoint, region, credentials: { ...credentials }, forcePathStyle })
  t.teardown(async () => {
    client.destroy()
    await driver.close()
  })
  const root = `${config.rootdirectory}/`
  return {
    driver,
    /** The keys of the bucket, without the root directory. */
    async keys(): Promise<readonly string[]> {
      const { Contents = [] } = await client.send(
        new ListObjectsV2Command({ Bucket: config.bucket, Prefix: root }),
      )
      return Contents.map(({ Key = '' }) => Key.slice(root.length)).sort()
    },
    async object(key: string): Promise<Buffer> {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: config.bucket, Key: root + key }))
      return Buffer.from((await Body?.transformToByteArray()) ?? [])
    },
  }
}

async function append(
  driver: StorageDriver,
  content: Buffer,
  options?: { append: boolean },
): Promise<FileWriter> {
  const writer = await driver.openWriter(at('/up/data'), options)
  for (let start = 0; start < content.length; start += 300_000)
    await writer.write(content.subarray(start, start + 300_000))
  return writer
}

void t.test('commit() of a small file is one object, under the key that distribution has', async t => {
  const { driver, keys, object } = await open(t)
  const writer = await append(driver, pattern(1000))
  t.same(await keys(), [], 'nothing is stored before')

  await writer.commit()
  await writer.release()

  t.same(await keys(), ['up/data'])
  await driver.move(at('/up/data'), at('/blobs/data'))
  t.same(await keys(), ['blobs/data'])
  t.ok((await object('blobs/data')).equals(pattern(1000)))
})

void t.test('a large file is parts until move(), which makes one object of them', async t => {
  const { driver, keys, object } = await open(t)
  const content = pattern(2 * chunk + 1000)
  const writer = await append(driver, content)
  await writer.commit()
  await writer.release()

  t.same(await keys(), [
    'up/data' + part(0),
    'up/data' + part(chunk),
    'up/data' + part(2 * chunk),
    'up/data/~committed',
  ])
  t.match(await driver.stat(at('/up/data')), { kind: 'file', size: content.length })
  t.same(await driver.list(at('/up')), ['/up/data'])
  await t.rejects(driver.list(at('/up/data')), { name: 'PathNotFoundError' })
  t.same(await walked(driver, '/'), ['/up/data'])
  t.ok((await buffer(await driver.read(at('/up/data')))).equals(content))
  const slice = { start: chunk - 5, end: 2 * chunk + 5 }
  t.ok(
    (await buffer(await driver.read(at('/up/data'), slice))).equals(content.subarray(slice.start, slice.end)),
  )
  await t.rejects(driver.read(at('/up/data'), { start: content.length + 1 }), { name: 'InvalidOffsetError' })

  await driver.move(at('/up/data'), at('/blobs/data'))

  t.same(await keys(), ['blobs/data'])
  t.ok((await object('blobs/data')).equals(content))
})

void t.test('appends of any length end in parts that can be put together', async t => {
  const { driver, keys, object } = await open(t)
  const content = pattern(2 * chunk + 3 * mebibyte)
  let position = 0
  for (const size of [0, 1, mebibyte, 3 * mebibyte, chunk, 10, 0, content.length]) {
    const writer = await append(driver, content.subarray(position, position + size), { append: position > 0 })
    position = Math.min(content.length, position + size)
    t.equal(writer.bytesWritten, position)
    await writer.close()
    await writer.release()
    t.equal((await driver.stat(at('/up/data'))).size, position)
  }
  t.same(await keys(), ['up/data' + part(0), 'up/data' + part(chunk), 'up/data' + part(2 * chunk)])

  const writer = await driver.openWriter(at('/up/data'), { append: true })
  await writer.commit()
  await writer.release()
  await driver.move(at('/up/data'), at('/blobs/data'))

  t.same(await keys(), ['blobs/data'])
  t.ok((await object('blobs/data')).equals(content))
})

void t.test('what a process that died has stored can be gone on with, and removed', async t => {
  const { driver, keys } = await open(t)
  const content = pattern(2 * chunk + 1000)
  const dead = await append(driver, content)
  await dead.release() // Neither closed nor committed: the last bytes are lost.

  t.same(await keys(), ['up/data' + part(0), 'up/data' + part(chunk)])
  const writer = await driver.openWriter(at('/up/data'), { append: true })
  t.equal(writer.bytesWritten, 2 * chunk)
  await writer.write(content.subarray(2 * chunk))
  await writer.close()
  await writer.release()
  t.ok((await buffer(await driver.read(at('/up/data')))).equals(content))

  await driver.remove(at('/up'))
  t.same(await keys(), [])
})

void t.test('move() of a file that is not complete leaves it to be gone on with', async t => {
  const { driver, keys } = await open(t)
  const content = pattern(chunk + 1000)
  const writer = await append(driver, content)
  await writer.close()
  await writer.release()

  await driver.move(at('/up/data'), at('/kept'))

  t.same(await keys(), ['kept' + part(0), 'kept' + part(chunk)])
  const next = await driver.openWriter(at('/kept'), { append: true })
  t.equal(next.bytesWritten, content.length)
  await next.cancel()
  await next.release()
  t.same(await keys(), [])
})

void t.test('a committed file can be committed again, and even be written to', async t => {
  const { driver, keys } = await open(t)
  for (const size of [1000, 5 * mebibyte]) {
    const content = pattern(size)
    await driver.writeAll(at('/up/data'), content)
    const again = await driver.openWriter(at('/up/data'), { append: true })
    t.equal(again.bytesWritten, size)
    await again.commit()
    await again.release()
    t.same(await keys(), ['up/data'])

    const more = await driver.openWriter(at('/up/data'), { append: true })
    await more.write(Buffer.from('more'))
    await more.commit()
    await more.release()
    t.ok((await driver.readAll(at('/up/data'))).equals(Buffer.concat([content, Buffer.from('more')])))
    await driver.remove(at('/up'))
  }
})

void t.test('an empty file is one, closed or committed', async t => {
  const { driver } = await open(t)
  for (const end of ['close', 'commit'] as const) {
    const writer = await driver.openWriter(at('/up/data'))
    await writer[end]()
    await writer.release()
    t.match(await driver.stat(at('/up/data')), { kind: 'file', size: 0 })
    t.equal((await driver.readAll(at('/up/data'))).length, 0)
    await driver.move(at('/up/data'), at(`/${end}`))
    t.equal((await driver.readAll(at(`/${end}`))).length, 0)
  }
})
