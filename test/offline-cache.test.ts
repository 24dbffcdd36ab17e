// The cache of a store that a server may be at work on: looking changes nothing.
import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import { openOfflineCache } from '../lib/offline-cache.ts'
import { digestOf } from '../lib/oci/digest.ts'
import { layout } from '../lib/storage/layout.ts'
import { driverSections } from './support/driver-sections.ts'

t.test('openOfflineCache() leaves the marker of what a server is about to store', async t => {
  const root = t.testdir({})
  const marker = root + layout.mirroredMarker(digestOf(Buffer.from('on its way')))
  const text = JSON.stringify({ kind: 'blob', size: 10, repositories: ['library/app'] })
  fs.mkdirSync(path.dirname(marker), { recursive: true })
  fs.writeFileSync(marker, text)
  const yaml = `{version: 0.1, storage: {filesystem: {rootdirectory: "${root}"}}, proxy: {remoteurl: "http://127.0.0.1:1"}}`
  const { config } = loadConfig({ text: yaml, env: {}, drivers: driverSections })

  const cache = await openOfflineCache(config)
  const { entries, isComplete } = await cache.stats()
  await cache.close()

  t.same({ entries, isComplete }, { entries: 0, isComplete: true })
  t.equal(fs.readFileSync(marker, 'utf8'), text)
})
