import t from 'tap'
import { systemClock } from '../../../../lib/clock.ts'
import { StorageError } from '../../../../lib/storage/driver/driver.ts'
import { InMemoryDriver } from '../../../../lib/storage/driver/inmemory/driver.ts'
import { checked } from '../../../../lib/storage/driver/wrap/checked.ts'
import { faultyDriver } from '../../../support/faulty-driver.ts'
import { redirectingDriver } from '../redirecting-driver.ts'
import { at, driverSuite } from '../suite.ts'

void t.test('checked()', async t => {
  driverSuite(t, { open: async () => ({ driver: checked(new InMemoryDriver(systemClock)) }) })
})

void t.test(
  'checked() puts the driver name on StorageErrors of writers and leaves other errors alone',
  async t => {
    const { driver, fail } = faultyDriver(new InMemoryDriver(systemClock))
    const writer = await checked(driver).openWriter(at('/a'))
    fail('write', new StorageError('Cannot write', '/a'))
    fail('commit', new TypeError('bug'))

    await t.rejects(writer.write(Buffer.from('x')), { name: 'StorageError', driver: 'inmemory' })
    await t.rejects(writer.commit(), new TypeError('bug'))
    await writer.cancel()
    await writer.release()
  },
)

void t.test('checked() offers redirectUrl() only where the driver does', async t => {
  const inner = new InMemoryDriver(systemClock)
  t.notOk('redirectUrl' in checked(inner))

  const redirecting = checked(redirectingDriver(inner))

  t.equal((await redirecting.redirectUrl?.(at('/a/b'), 1000))?.href, 'http://store.test/a/b?for=1000')
  await t.rejects(async () => void (await redirecting.redirectUrl?.(at('/../a'), 1000)), {
    name: 'InvalidPathError',
  })
})
