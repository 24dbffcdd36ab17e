import t from 'tap'
import { scrub, type ScrubEvent, type ScrubOptions } from '../../lib/maintenance/scrub.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import type { Stores } from '../../lib/registry/local.ts'
import { layout } from '../../lib/storage/layout.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createStores, onEachDriver, openTestDriver } from '../support/stores.ts'

const app = parseRepositoryName('team/app')
const good = Buffer.from('good')
const bad = Buffer.from('bad')

async function run(stores: Stores, options: Partial<ScrubOptions> = {}): Promise<readonly ScrubEvent[]> {
  const events: ScrubEvent[] = []
  const deps = { stores, clock: new ManualClock() }
  for await (const event of scrub(deps, { dryRun: false, refetch: false, ...options })) events.push(event)
  return events
}

onEachDriver(
  t,
  'scrub() puts damaged content into quarantine, where it can be pushed again',
  async (t, driver) => {
    const stores = createStores(driver)
    for (const bytes of [good, bad]) {
      await stores.blobs.put(bytes, digestOf(bytes))
      await stores.links.link(app, 'layer', digestOf(bytes))
    }
    await driver.writeAll(layout.blobContent(digestOf(bad)), Buffer.from('bat'))
    await stores.links.link(app, 'layer', digestOf(Buffer.from('nowhere')))

    const seen = await run(stores, { dryRun: true })
    t.match(seen.at(-1), { report: { blobs: 2, damaged: 1, quarantined: 0, missing: 1 } })
    t.ok(await stores.blobs.lookUp(digestOf(bad)))
    const events = await run(stores, { repository: 'team/*' })

    t.match(events.at(-1), { report: { blobs: 2, bytes: 7, damaged: 1, quarantined: 1, missing: 1 } })
    t.match(
      events.find(({ kind }) => kind === 'damaged'),
      { digest: digestOf(bad), found: digestOf(Buffer.from('bat')), action: 'quarantined' },
    )
    t.same((await driver.readAll(layout.quarantined(digestOf(bad)))).toString(), 'bat')
    t.equal(await stores.blobs.find(digestOf(bad)), undefined)
    t.same(await stores.blobs.readAll(digestOf(good)), good)
    await stores.blobs.put(bad, digestOf(bad))
    t.match((await run(stores)).at(-1), { report: { damaged: 0 } })
  },
)

t.test('scrub() reads no faster than it may', async t => {
  const clock = new ManualClock()
  const stores = createStores(await openTestDriver(t, 'inmemory', { clock }), { clock })
  const content = Buffer.alloc(1000, 'x')
  await stores.blobs.put(content, digestOf(content))
  const beganMs = clock.now()
  const options = { dryRun: false, refetch: false, bytesPerSecond: 100 }
  const running = (async () => {
    for await (const event of scrub({ stores, clock }, options))
      if (event.kind === 'done') return event.report
    return undefined
  })()

  await clock.slept()
  while (clock.sleeping > 0) {
    clock.advance(500)
    await new Promise(resolve => setImmediate(resolve))
  }

  t.match(await running, { blobs: 1, bytes: 1000 })
  t.ok(clock.now() - beganMs >= 9500, 'ten seconds, less a short burst')
})
