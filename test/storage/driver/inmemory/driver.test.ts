import t from 'tap'
import { systemClock } from '../../../../lib/clock.ts'
import { InMemoryDriver } from '../../../../lib/storage/driver/inmemory/driver.ts'
import { driverSuite } from '../suite.ts'

driverSuite(t, { open: async () => ({ driver: new InMemoryDriver(systemClock) }) })
