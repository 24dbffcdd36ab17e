// `storage.s3` and `storage.s3aws`. The SDK is large: it is loaded when a driver is opened, and not before.
import type { DriverFactory } from '../factory.ts'
import { spooled } from '../wrap/spooled.ts'
import { s3Section, type S3Config } from './config.ts'

/** `storage.s3`. */
export const s3Factory: DriverFactory<S3Config> = {
  name: 's3',
  section: s3Section,
  // The client's sockets are what there is.
  concurrency: () => undefined,
  async open(config, deps) {
    const { S3Driver } = await import('./driver.ts')
    return spooled(new S3Driver(config, deps))
  },
}

/** The same under distribution's other name for it. */
export const s3awsFactory: DriverFactory<S3Config> = { ...s3Factory, name: 's3aws' }
