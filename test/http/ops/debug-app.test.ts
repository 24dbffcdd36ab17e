import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createDebugApp } from '../../../lib/http/ops/debug-app.ts'
import { createLogger } from '../../../lib/log.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { StorageError, type StorageDriver } from '../../../lib/storage/driver/driver.ts'
import { openTestDriver } from '../../support/stores.ts'

async function startDebugApp(t: Test, driver: StorageDriver, enabled = true): Promise<string> {
  const logger = createLogger({ level: 'info', formatter: 'json', fields: {}, write: () => {} })
  const metrics = createMetrics()
  const app = createDebugApp({ driver, metrics, logger, prometheus: { enabled, path: '/metrics' } })
  const handle = app.callback()
  const server = http.createServer((req, res) => void handle(req, res))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('GET /debug/health answers 503 and what is wrong when the store does not answer', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const broken = { ...driver, stat: () => Promise.reject(new StorageError('the disk is gone', '/')) }
  const url = await startDebugApp(t, broken)

  const res = await fetch(`${url}/debug/health`)

  t.equal(res.status, 503)
  t.same(await res.json(), { storagedriver: 'the disk is gone' })
})

t.test('GET /debug/health answers {} when all is well', async t => {
  const url = await startDebugApp(t, await openTestDriver(t, 'inmemory'))

  const res = await fetch(`${url}/debug/health`)

  t.equal(res.status, 200)
  t.equal(res.headers.get('content-type'), 'application/json')
  t.same(await res.json(), {})
})

t.test('GET of the metrics path gives the exposition, where that is on', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const on = await startDebugApp(t, driver)
  const off = await startDebugApp(t, driver, false)

  const res = await fetch(`${on}/metrics`)

  t.equal(res.status, 200)
  t.match(res.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  t.match(await res.text(), /# TYPE registry_http_requests_total counter/)
  t.equal((await fetch(`${off}/metrics`)).status, 404)
  t.equal((await fetch(`${on}/debug/health`, { method: 'POST' })).status, 404)
})
