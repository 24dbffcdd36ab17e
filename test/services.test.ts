// What the parts do together at start and at the end.
import fs from 'node:fs'
import t from 'tap'
import { systemClock } from '../lib/clock.ts'
import { loadConfig } from '../lib/config/load.ts'
import { createLogger } from '../lib/log.ts'
import { createMetrics } from '../lib/metrics.ts'
import { createServices } from '../lib/services.ts'
import { layout } from '../lib/storage/layout.ts'
import { driverSections } from './support/driver-sections.ts'

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
