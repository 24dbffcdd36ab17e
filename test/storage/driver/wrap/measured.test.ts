import t from 'tap'
import { systemClock } from '../../../../lib/clock.ts'
import { createMetrics, type Metrics } from '../../../../lib/metrics.ts'
import { InMemoryDriver } from '../../../../lib/storage/driver/inmemory/driver.ts'
import { measured } from '../../../../lib/storage/driver/wrap/measured.ts'
import { redirectingDriver } from '../redirecting-driver.ts'
import { at, driverSuite } from '../suite.ts'

void t.test('measured()', async t => {
  driverSuite(t, {
    open: async () => ({ driver: measured(new InMemoryDriver(systemClock), createMetrics()) }),
  })
})

void t.test('measured() observes each call, failed or not, under the name of its action', async t => {
  const metrics = createMetrics()
  const driver = measured(redirectingDriver(new InMemoryDriver(systemClock)), metrics)
  await driver.writeAll(at('/a'), Buffer.from('a'))
  await driver.readAll(at('/a'))
  await driver.readAll(at('/a'))
  await t.rejects(driver.readAll(at('/none')))
  await driver.stat(at('/a'))
  await driver.list(at('/'))
  ;(await driver.read(at('/a'))).destroy()
  await (await driver.openWriter(at('/b'))).release()
  await driver.move(at('/a'), at('/c'))
  await driver.remove(at('/c'))
  await driver.redirectUrl?.(at('/c'), 1)

  t.strictSame(await counts(metrics), {
    PutContent: 1,
    GetContent: 3,
    Stat: 1,
    List: 1,
    Reader: 1,
    Writer: 1,
    Move: 1,
    Delete: 1,
    RedirectURL: 1,
  })
})

void t.test('measured() offers redirectUrl() only where the driver does', async t => {
  t.notOk('redirectUrl' in measured(new InMemoryDriver(systemClock), createMetrics()))
})

async function counts(metrics: Metrics): Promise<Record<string, number>> {
  const { values } = await metrics.storageAction.get()
  const counted = values.filter(
    ({ metricName, labels }) => metricName?.endsWith('_count') && labels.driver === 'inmemory',
  )
  return Object.fromEntries(counted.map(({ labels, value }) => [String(labels.action), value]))
}
