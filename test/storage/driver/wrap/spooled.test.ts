import t, { type Test } from 'tap'
import { readdirSync } from 'node:fs'
import { systemClock } from '../../../../lib/clock.ts'
import type { StorageDriver } from '../../../../lib/storage/driver/driver.ts'
import { InMemoryDriver } from '../../../../lib/storage/driver/inmemory/driver.ts'
import { spooled } from '../../../../lib/storage/driver/wrap/spooled.ts'
import { at, driverSuite, pattern } from '../suite.ts'

/** A driver whose writers cannot be read from. */
function writeOnly(): StorageDriver {
  const inner = new InMemoryDriver(systemClock)
  return new Proxy(inner, {
    get(target, name) {
      if (name !== 'openWriter') {
        const member = target[name as keyof InMemoryDriver]
        return typeof member === 'function' ? member.bind(target) : member
      }
      return async (...args: Parameters<StorageDriver['openWriter']>) => {
        const writer = await inner.openWriter(...args)
        return new Proxy(writer, {
          get(target, name) {
            if (name === 'readWritten') return undefined
            const member: unknown = target[name as keyof typeof target]
            return typeof member === 'function' ? (member.bind(target) as unknown) : member
          },
        })
      }
    },
  })
}

void t.test('spooled() keeps the contract', async t => {
  driverSuite(t, { open: async (t: Test) => ({ driver: spooled(writeOnly(), t.testdir()) }) })
})

void t.test('spooled() leaves no name in its directory, and needs one that there is', async t => {
  const directory = t.testdir({})
  const driver = spooled(writeOnly(), directory)
  const writer = await driver.openWriter(at('/file'))
  await writer.write(pattern(1000))

  t.same(readdirSync(directory), [])
  t.equal((await writer.readWritten?.(990, 100))?.length, 10)
  await writer.cancel()
  await writer.release()

  await t.rejects(spooled(writeOnly(), `${directory}/none`).openWriter(at('/file')), {
    name: 'StorageError',
    message: /no temporary file/,
  })
})

void t.test('spooled() reads back what earlier writers wrote, also after the file was moved', async t => {
  const driver = spooled(writeOnly(), t.testdir())
  const content = pattern(700_000)
  const first = await driver.openWriter(at('/file'))
  await first.write(content.subarray(0, 600_000))
  await first.close()
  await first.release()

  const writer = await driver.openWriter(at('/file'), { append: true })
  const early = await writer.readWritten?.(599_990, 100)
  t.ok(
    early !== undefined &&
      early.length > 0 &&
      early.equals(content.subarray(599_990, 599_990 + early.length)),
  )
  await writer.write(content.subarray(600_000))
  await writer.commit()
  await driver.move(at('/file'), at('/other'))
  await driver.remove(at('/other'))

  const chunks: Buffer[] = []
  for (let position = 0; position < content.length; position += chunks.at(-1)?.length ?? 0)
    chunks.push((await writer.readWritten?.(position, 99_999)) ?? Buffer.alloc(0))
  t.ok(Buffer.concat(chunks).equals(content))
  await writer.release()
})

void t.test('spooled() keeps no copy for those who will not read it', async t => {
  const driver = spooled(writeOnly(), '/none')

  const writer = await driver.openWriter(at('/file'), { readBack: false })

  t.equal(writer.readWritten, undefined)
  await writer.cancel()
  await writer.release()
})
