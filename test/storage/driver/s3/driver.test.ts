import t from 'tap'
import { systemClock } from '../../../../lib/clock.ts'
import { S3Driver } from '../../../../lib/storage/driver/s3/driver.ts'
import { spooled } from '../../../../lib/storage/driver/wrap/spooled.ts'
import { startS3Server } from '../../../support/s3-server.ts'
import { driverSuite } from '../suite.ts'

for (const rootdirectory of ['', '/some/root/']) {
  void t.test(`S3Driver keeps the contract below "${rootdirectory}"`, async t => {
    driverSuite(t, {
      isFlat: true,
      open: async t => {
        const { config } = await startS3Server(t)
        const deps = { clock: systemClock }
        return { driver: spooled(new S3Driver(config({ rootdirectory, chunksize: 5242880 }), deps)) }
      },
    })
  })
}
