// Collections while clients push, mount and delete over HTTP, without any grace: whatever a client has been told is
// stored must be there, whole, at any time. A run is made again by its seed: GC_SEED=7 GC_SCALE=20 npx tap run …
import t from 'tap'
import { startApp, type TestApp } from '../support/http-client.ts'
import { setImmediate as turn } from 'node:timers/promises'
import { hooked, openTestDriver, type DriverKind } from '../support/stores.ts'
import { collect } from './collect.ts'
import { PushingClient, randomOf, type Counts } from './pushing-client.ts'

const seed = Number(process.env['GC_SEED'] ?? 20260818)
/** So many times as many pushes: for hours of them, GC_SCALE=100. */
const scale = Number(process.env['GC_SCALE'] ?? 1)

async function run(app: TestApp, pushes: number) {
  const counts: Counts = { pushes: 0, refused: 0, deletes: 0, checks: 0 }
  const clients = [1, 2, 3, 4].map(id => new PushingClient(app.url, id, randomOf(seed + id), counts))
  let isOver = false
  let cycles = 0
  const working = clients.map(async client => {
    while (!isOver) await client.step()
  })
  const random = randomOf(seed)
  const removed = { blobs: 0, manifests: 0, layerLinks: 0 }
  const collecting = (async () => {
    for (; counts.pushes < pushes; cycles++) {
      await turn()
      const { report } = await collect(app.stores, { graceMs: -1, untagged: random(2) === 0 })
      removed.blobs += report.removed.blobs
      removed.manifests += report.removed.manifests
      removed.layerLinks += report.removed.layerLinks
    }
  })().finally(() => (isOver = true))
  await Promise.all([collecting, ...working])
  for (const client of clients) await client.check()
  return { counts, removed, cycles }
}

for (const [kind, pushes] of [
  ['inmemory', 120],
  ['filesystem', 40],
] as readonly (readonly [DriverKind, number])[]) {
  t.test(
    `Collections and pushes at once lose nothing that can be reached (${kind}, seed ${seed})`,
    async t => {
      const random = randomOf(seed)
      // What answers at once would never be interrupted.
      const driver = hooked(
        await openTestDriver(t, kind),
        async () => void (random(3) === 0 && (await turn())),
      )
      const app = await startApp(t, { driver, level: 'error' })

      const { counts, removed, cycles } = await run(app, pushes * scale)

      t.comment(JSON.stringify({ cycles, counts, removed }))
      t.ok(counts.pushes > 20 && counts.deletes > 0 && counts.checks > 0, 'there was something going on')
      t.ok(
        removed.blobs > 0 && removed.manifests > 0 && removed.layerLinks > 0,
        'there was something to remove',
      )
    },
  )
}
