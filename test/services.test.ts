// What the parts do together at start and at the end.
import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { systemClock } from '../lib/clock.ts'
import { loadConfig } from '../lib/config/load.ts'
import { createLogger } from '../lib/log.ts'
import { createMetrics } from '../lib/metrics.ts'
import { parseRepositoryName } from '../lib/oci/repository-name.ts'
import { createUploadId } from '../lib/oci/upload-id.ts'
import { createServices } from '../lib/services.ts'
import { layout } from '../lib/storage/layout.ts'
import { driverSections } from './support/driver-sections.ts'
import { ManualClock } from './support/manual-clock.ts'
import { until } from './support/until.ts'

const dayMs = 24 * 60 * 60 * 1000

t.test('createServices() of a mirror removes what a crash has left of fills', async t => {
  const root = t.testdir({})
  for (const [id, ageMs] of [
    ['abandoned', 2 * dayMs],
    ['running', 0],
  ] as const) {
    const folder = root + layout.fill(id)
    fs.mkdirSync(folder, { recursive: true })
    fs.writeFileSync(`${folder}/data`, 'half')
    const changedAt = (Date.now() - ageMs) / 1000
    for (const path of [`${folder}/data`, folder]) fs.utimesSync(path, changedAt, changedAt)
  }
  const text = `{version: 0.1, storage: {filesystem: {rootdirectory: "${root}"}}, proxy: {remoteurl: "http://127.0.0.1:1"}}`
  const { config } = loadConfig({ text, env: {}, drivers: driverSections })
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    formatter: 'json',
    fields: {},
    write: line => void lines.push(line),
  })

  const services = await createServices(config, {
    clock: systemClock,
    logger,
    metrics: createMetrics(),
    version: 'test',
  })
  await services.close(0)

  t.same(fs.readdirSync(root + layout.fills), ['running'])
  t.ok(lines.some(line => line.includes('removed what was left')))
})

t.test('createServices() purges uploads until it is closed', async t => {
  const root = t.testdir({})
  const name = parseRepositoryName('team/app')
  const started = root + layout.uploadStartedAt(name, createUploadId())
  fs.mkdirSync(path.dirname(started), { recursive: true })
  fs.writeFileSync(started, '2020-01-01T00:00:00Z')
  const text = `{version: 0.1, storage: {filesystem: {rootdirectory: "${root}"}}}`
  const { config } = loadConfig({ text, env: {}, drivers: driverSections })
  const clock = new ManualClock()
  const metrics = createMetrics()
  const logger = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })

  const services = await createServices(config, { clock, logger, metrics, version: 'test' })
  await clock.slept()
  clock.advance(3_600_000)
  await until(() => !fs.existsSync(started))
  await until(() => clock.sleeping === 1)
  await services.close(0)

  t.equal(clock.sleeping, 0)
  t.equal((await metrics.uploadsPurged.get()).values[0]?.value, 1)
})
