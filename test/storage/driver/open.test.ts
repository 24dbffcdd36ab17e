import t from 'tap'
import { systemClock } from '../../../lib/clock.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { drivers } from '../../../lib/storage/driver/drivers.ts'
import { openDriver } from '../../../lib/storage/driver/open.ts'
import { at, driverSuite } from './suite.ts'

const deps = () => ({ metrics: createMetrics(), clock: systemClock })

void t.test('openDriver() puts the wrappers on', async t => {
  driverSuite(t, {
    open: async t => {
      const config = { rootdirectory: t.testdir(), maxthreads: 25 }
      return { driver: await openDriver('filesystem', config, deps()) }
    },
  })
})

void t.test('openDriver() opens each driver under its own name', async t => {
  for (const [name, factory] of Object.entries(drivers)) t.equal(factory.name, name)
  const { metrics, clock } = deps()

  const driver = await openDriver('inmemory', {}, { metrics, clock })

  t.equal(driver.name, 'inmemory')
  await t.rejects(driver.stat(at('../etc')), { name: 'InvalidPathError', driver: 'inmemory' })
  t.match(
    await metrics.registry.metrics(),
    'registry_storage_action_seconds_count{driver="inmemory",action="Stat"} 1',
  )
})
