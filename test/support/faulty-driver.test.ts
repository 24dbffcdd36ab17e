import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { InMemoryDriver } from '../../lib/storage/driver/inmemory/driver.ts'
import { at, driverSuite, pattern } from '../storage/driver/suite.ts'
import { faultyDriver } from './faulty-driver.ts'

void t.test('a faulty driver without faults', async t => {
  driverSuite(t, { open: async () => ({ driver: faultyDriver(new InMemoryDriver(systemClock)).driver }) })
})

void t.test('fail() meets as many matching calls as it was told', async t => {
  const { driver, fail } = faultyDriver(new InMemoryDriver(systemClock))
  const error = new Error('disk on fire')
  fail('writeAll', error, { path: /b$/, times: 2 })

  await driver.writeAll(at('/a'), Buffer.from('a'))
  await t.rejects(driver.writeAll(at('/b'), Buffer.from('b')), error)
  await t.rejects(driver.writeAll(at('/b'), Buffer.from('b')), error)
  await driver.writeAll(at('/b'), Buffer.from('b'))

  t.equal((await driver.readAll(at('/b'))).toString(), 'b')
})

void t.test('fail() with afterBytes ends a stream there', async t => {
  const { driver, fail } = faultyDriver(new InMemoryDriver(systemClock))
  const error = new Error('disk on fire')
  await driver.writeAll(at('/a'), pattern(1_000_000))
  for (const afterBytes of [0, 1, 300_000, 1_000_000]) {
    fail('read', error, { afterBytes })
    let bytes = 0
    await t.rejects(async () => {
      for await (const chunk of await driver.read(at('/a'))) bytes += (chunk as Buffer).length
    }, error)
    t.equal(bytes, afterBytes)
  }
  t.equal((await buffer(await driver.read(at('/a')))).length, 1_000_000)
})

void t.test('pause() holds a call of a writer until resume()', async t => {
  const { driver, pause } = faultyDriver(new InMemoryDriver(systemClock))
  const writer = await driver.openWriter(at('/a'))
  const held = pause('write')

  const writing = writer.write(Buffer.from('a'))
  await held.reached
  t.equal(writer.bytesWritten, 0)
  held.resume()
  await writing

  t.equal(writer.bytesWritten, 1)
  await writer.write(Buffer.from('b'))
  await writer.release()
})
