// The part of the driver suite about writers. A test releases every writer that it opens.
import { buffer } from 'node:stream/consumers'
import type { FileWriter } from '../../../lib/storage/driver/driver.ts'
import { at, pattern, walked, type DriverTest } from './suite.ts'

const mebibyte = 1024 * 1024

/** Adds this part of the suite. */
export function testWriters(test: DriverTest): void {
  test('FileWriter.commit() leaves what was written, in chunks of any size', async (t, driver) => {
    const content = pattern(2 * mebibyte + 3)
    const writer = await driver.openWriter(at('/up/load'))
    try {
      let position = 0
      for (const size of [0, 1, 2, mebibyte, 0, content.length]) {
        const chunk = content.subarray(position, position + size)
        await writer.write(chunk)
        position += chunk.length
        t.equal(writer.bytesWritten, position)
      }
      await writer.commit()
      await writer.commit()
      await writer.cancel()
    } finally {
      await writer.release()
      await writer.release()
    }
    t.ok((await buffer(await driver.read(at('/up/load')))).equals(content))
    t.equal((await driver.stat(at('/up/load'))).size, content.length)
  })

  test('FileWriter.cancel() removes what was written', async (t, driver) => {
    const writer = await driver.openWriter(at('/upload'))
    await writer.write(pattern(1000))

    await writer.cancel()
    await writer.cancel()
    await writer.close()
    await writer.release()

    await t.rejects(driver.stat(at('/upload')), { name: 'PathNotFoundError' })
    t.strictSame(await walked(driver, '/'), [])
  })

  test('FileWriter.cancel() is fine when the file is gone already', async (t, driver) => {
    const writer = await driver.openWriter(at('/dir/upload'))
    await writer.write(pattern(10))
    await driver.remove(at('/dir'))

    await writer.cancel()
    await writer.release()

    t.strictSame(await walked(driver, '/'), [])
  })

  test('FileWriter.close() keeps what was written for openWriter() with append', async (t, driver) => {
    const content = pattern(3000)
    for (const [start, end] of [
      [0, 1000],
      [1000, 1000],
      [1000, 3000],
    ] as const) {
      const writer = await driver.openWriter(at('/upload'), { append: start > 0 })
      t.equal(writer.bytesWritten, start)
      await writer.write(content.subarray(start, end))
      await writer.close()
      await writer.close()
      await writer.cancel()
      await writer.release()
    }

    const last = await driver.openWriter(at('/upload'), { append: true })
    await last.commit()
    t.ok((await readWhole(last)).equals(content), 'the bytes of earlier writers can be read')
    await last.release()

    t.ok((await driver.readAll(at('/upload'))).equals(content))
  })

  test('openWriter() without append starts anew', async (t, driver) => {
    await driver.writeAll(at('/upload'), pattern(1000))

    const writer = await driver.openWriter(at('/upload'))
    t.equal(writer.bytesWritten, 0)
    await writer.write(Buffer.from('new'))
    await writer.commit()
    await writer.release()

    t.equal((await driver.readAll(at('/upload'))).toString(), 'new')
  })

  test('FileWriter.write() rejects after commit(), close(), cancel() and release()', async (t, driver) => {
    const refusal = { name: 'StorageError', path: '/upload', driver: driver.name }
    for (const end of ['commit', 'close', 'cancel', 'release'] as const) {
      const writer = await driver.openWriter(at('/upload'))
      await writer[end]()

      await t.rejects(writer.write(Buffer.from('x')), refusal, `write after ${end}`)
      if (end !== 'commit') await t.rejects(writer.commit(), refusal, `commit after ${end}`)
      t.equal(writer.bytesWritten, 0)

      await writer.release()
    }
  })

  test('FileWriter.write() rejects with the reason of its signal and can be canceled', async (t, driver) => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const writer = await driver.openWriter(at('/upload'), { signal: controller.signal })
    await writer.write(pattern(10), { signal: controller.signal })

    controller.abort(reason)

    await t.rejects(writer.write(pattern(10), { signal: controller.signal }), reason)
    t.equal(writer.bytesWritten, 10)
    await writer.cancel()
    await writer.release()
    t.strictSame(await walked(driver, '/'), [])
  })

  test('FileWriter.readWritten() gives what was written so far, during writing and after the end', async (t, driver) => {
    const content = pattern(2 * mebibyte)
    for (const end of ['commit', 'close', 'cancel'] as const) {
      const writer = await driver.openWriter(at('/upload'))
      if (!writer.readWritten) return void t.comment('no readWritten()')
      for (let position = 0; position < content.length; position += 300_000) {
        await writer.write(content.subarray(position, position + 300_000))

        const newest = await writer.readWritten(position, mebibyte)
        t.ok(newest.length > 0 && newest.equals(content.subarray(position, position + newest.length)))
      }
      t.equal((await writer.readWritten(0, 10)).length, 10)
      t.equal((await writer.readWritten(content.length - 1, 10)).length, 1)
      t.equal((await writer.readWritten(content.length, 10)).length, 0)

      await writer[end]()
      t.ok((await readWhole(writer)).equals(content), `after ${end}`)

      await driver.remove(at('/upload'))
      t.ok((await readWhole(writer)).equals(content), `after ${end} and removal`)

      await writer.release()
      await t.rejects(async () => await writer.readWritten?.(0, 10), { name: 'StorageError' })
    }
  })

  test('FileWriter.readWritten() goes on after commit() and move()', async (t, driver) => {
    const content = pattern(mebibyte)
    const writer = await driver.openWriter(at('/staging/data'))
    await writer.write(content)
    await writer.commit()
    await driver.move(at('/staging/data'), at('/final/place/data'))
    await driver.remove(at('/staging'))

    if (writer.readWritten) t.ok((await readWhole(writer)).equals(content))
    await writer.release()

    t.ok((await driver.readAll(at('/final/place/data'))).equals(content))
    t.strictSame(await walked(driver, '/'), ['/final/place/data'])
  })

  test('FileWriter.release() waits for reads that are under way', async (t, driver) => {
    const content = pattern(mebibyte)
    const writer = await driver.openWriter(at('/upload'))
    await writer.write(content)
    await writer.commit()
    if (!writer.readWritten) return void (await writer.release())

    const reads = Array.from({ length: 20 }, (_, i) => writer.readWritten?.(i * 1000, 1000))
    await writer.release()

    for (const [i, read] of reads.entries()) {
      t.ok((await read)?.equals(content.subarray(i * 1000, i * 1000 + 1000)))
    }
  })

  test('writers of different paths do not meet', async (t, driver) => {
    const content = pattern(mebibyte)
    const paths = Array.from({ length: 20 }, (_, i) => at(`/uploads/${i % 4}/${i}/data`))
    await Promise.all(
      paths.map(async (path, i) => {
        const writer = await driver.openWriter(path)
        try {
          for (let start = i; start < content.length; start += 100_000) {
            await writer.write(content.subarray(start, start + 100_000))
          }
          await writer.commit()
        } finally {
          await writer.release()
        }
      }),
    )
    for (const [i, path] of paths.entries()) {
      t.ok((await driver.readAll(path)).equals(content.subarray(i)), path)
    }
  })
}

async function readWhole(writer: FileWriter): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let position = 0; position < writer.bytesWritten;) {
    const chunk = await writer.readWritten?.(position, 300_000)
    if (chunk === undefined || chunk.length === 0) throw new Error(`Cannot read at ${position}`)
    chunks.push(chunk)
    position += chunk.length
  }
  return Buffer.concat(chunks)
}
