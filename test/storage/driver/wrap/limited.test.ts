import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../../../lib/clock.ts'
import { InMemoryDriver } from '../../../../lib/storage/driver/inmemory/driver.ts'
import { limited } from '../../../../lib/storage/driver/wrap/limited.ts'
import { faultyDriver } from '../../../support/faulty-driver.ts'
import { redirectingDriver } from '../redirecting-driver.ts'
import { at, driverSuite, pattern, walked } from '../suite.ts'

void t.test('limited()', async t => {
  driverSuite(t, { open: async () => ({ driver: limited(new InMemoryDriver(systemClock), 1) }) })
})

void t.test('limited() lets no more calls in than its limit, in the order they came', async t => {
  const { driver: inner, pause } = faultyDriver(new InMemoryDriver(systemClock))
  const driver = limited(inner, 2)
  const held = pause('writeAll')
  const begun: string[] = []
  const ended: string[] = []
  async function write(name: string): Promise<void> {
    begun.push(name)
    await driver.writeAll(at(`/${name}`), Buffer.from(name))
    ended.push(name)
  }

  const writes = ['a', 'b', 'c', 'd'].map(write)
  const listing = driver.list(at('/')).then(names => ended.push(`list ${names.length}`))
  await held.reached
  await setImmediate()
  t.strictSame(begun, ['a', 'b', 'c', 'd'])
  t.strictSame(ended, [], 'not even a call that is not held gets past those that wait')
  t.strictSame(await walked(driver, '/'), [], 'walk() does not count')

  held.resume()
  await Promise.all([...writes, listing])
  t.strictSame(ended, ['a', 'b', 'c', 'd', 'list 4'])
})

void t.test('limited() drops a waiting call whose signal is aborted', async t => {
  const { driver: inner, pause } = faultyDriver(new InMemoryDriver(systemClock))
  const driver = limited(inner, 1)
  const held = pause('stat')
  const reason = new Error('enough')
  const controller = new AbortController()

  const first = driver.stat(at('/'))
  const second = driver.writeAll(at('/second'), Buffer.of(), { signal: controller.signal })
  const third = driver.writeAll(at('/third'), Buffer.of())
  await held.reached
  controller.abort(reason)
  await t.rejects(second, reason)
  await t.rejects(driver.writeAll(at('/fourth'), Buffer.of(), { signal: controller.signal }), reason)
  held.resume()
  await Promise.all([first, third])

  t.strictSame(await driver.list(at('/')), ['/third'])
})

void t.test(
  'limited() gives the turn back when a call fails, and counts no open stream or writer',
  async t => {
    const { driver: inner, fail } = faultyDriver(new InMemoryDriver(systemClock))
    const driver = limited(inner, 1)
    fail('writeAll', new Error('disk on fire'), { times: 3 })
    for (let i = 0; i < 3; i++) await t.rejects(driver.writeAll(at('/file'), Buffer.of()))

    await driver.writeAll(at('/file'), pattern(3_000_000))
    const stream = await driver.read(at('/file'))
    const writer = await driver.openWriter(at('/other'))

    await writer.write(await driver.readAll(at('/file')))
    t.equal((await driver.stat(at('/other'))).size, 3_000_000)
    stream.destroy()
    await writer.release()
  },
)

void t.test('limited() offers redirectUrl() only where the driver does', async t => {
  const inner = new InMemoryDriver(systemClock)
  t.notOk('redirectUrl' in limited(inner, 1))

  const url = await limited(redirectingDriver(inner), 1).redirectUrl?.(at('/a'), 5)

  t.equal(url?.href, 'http://store.test/a?for=5')
})
