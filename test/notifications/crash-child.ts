// A process that publishes and is killed: see spool.test.ts, which bundles it.
import { systemClock } from '../../lib/clock.ts'
import { notificationsSection } from '../../lib/config/notifications.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { startNotifications } from '../../lib/notifications/notifications.ts'

const [directory = '', url = '', count = ''] = process.argv.slice(2)
const { sink } = await startNotifications(
  notificationsSection.parse({ endpoints: [{ name: 'hook', url }] }),
  {
    clock: systemClock,
    logger: createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} }),
    metrics: createMetrics(),
    version: '1',
    env: {},
    source: { addr: 'child:1', instanceId: 'child' },
    directory,
  },
)
for (let index = 0; index < Number(count); index++) {
  sink?.publish({ action: 'push', target: { tag: `t${index}` } })
  await new Promise(setImmediate)
}
process.stdout.write('published')
setInterval(() => {}, 1000)
