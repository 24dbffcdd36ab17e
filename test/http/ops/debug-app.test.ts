import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createDebugApp } from '../../../lib/http/ops/debug-app.ts'
import { Health, type Check } from '../../../lib/http/ops/health.ts'
import { createReadiness } from '../../../lib/http/ops/ready.ts'
import { createLogger } from '../../../lib/log.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { StorageError, type StorageDriver } from '../../../lib/storage/driver/driver.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { openTestDriver } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

async function startDebugApp(
  t: Test,
  options: { readonly driver?: StorageDriver; readonly enabled?: boolean } = {},
) {
  const { driver = await openTestDriver(t, 'inmemory'), enabled = true } = options
  const logger = createLogger({ level: 'info', formatter: 'json', fields: {}, write: () => {} })
  const metrics = createMetrics()
  const clock = new ManualClock()
  const health = new Health({ clock, logger, metrics })
  t.teardown(() => health.stop())
  const app = createDebugApp({
    health,
    readiness: createReadiness(health, driver),
    metrics,
    logger,
    prometheus: { enabled, path: '/metrics' },
  })
  const handle = app.callback()
  const server = http.createServer((req, res) => void handle(req, res))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, clock, health, metrics }
}

async function ask(url: string, method = 'GET') {
  const res = await fetch(url, { method })
  return { status: res.status, body: await res.text() }
}

const json = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' }

t.test('GET /debug/health answers {} when all is well, and no other method', async t => {
  const { url } = await startDebugApp(t)

  const res = await fetch(`${url}/debug/health`)

  t.equal(res.status, 200)
  t.equal(res.headers.get('content-type'), 'application/json')
  t.same(await res.json(), {})
  for (const method of ['HEAD', 'POST', 'PUT'])
    t.equal((await ask(`${url}/debug/health`, method)).status, 404)
})

t.test('GET /debug/health answers 503 and what is wrong while a check fails', async t => {
  const { url, clock, health } = await startDebugApp(t)
  let problem: string | undefined = 'it is raining'
  const check: Check = {
    name: 'weather',
    intervalMs: 1000,
    threshold: 1,
    run: async () => {
      if (problem !== undefined) throw new Error(problem)
    },
  }
  health.start([check])

  t.same(await ask(`${url}/debug/health`), { status: 200, body: '{}' })
  await clock.slept()
  clock.advance(1000)
  await until(() => health.isFailing)

  t.same(await ask(`${url}/debug/health`), { status: 503, body: '{"weather":"it is raining"}' })
  t.match(await ask(`${url}/debug/ready`), { status: 503, body: /raining/ })
  t.same(await ask(`${url}/debug/live`), { status: 200, body: '{}' })
  problem = undefined
  await clock.slept()
  clock.advance(1000)
  await until(() => !health.isFailing)
  t.equal((await ask(`${url}/debug/ready`)).status, 200)
})

t.test('GET /debug/ready asks the store, while /debug/live and /debug/health do not', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const broken = { ...driver, stat: () => Promise.reject(new StorageError('the disk is gone', '/')) }
  const { url } = await startDebugApp(t, { driver: broken })

  t.same(await ask(`${url}/debug/ready`), {
    status: 503,
    body: '{"storagedriver_inmemory":"the disk is gone"}',
  })
  t.equal((await ask(`${url}/debug/live`)).status, 200)
  t.equal((await ask(`${url}/debug/health`)).status, 200)
})

t.test('GET /debug/ready puts one question to the store, however many ask', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  let questions = 0
  let answer = () => {}
  const answered = new Promise<void>(resolve => (answer = resolve))
  const slow: StorageDriver = {
    ...driver,
    async stat(...args) {
      questions++
      await answered
      return await driver.stat(...args)
    },
  }
  const { health } = await startDebugApp(t, { driver: slow })
  const readiness = createReadiness(health, slow)

  const both = [readiness(), readiness()]
  answer()

  t.same(await Promise.all(both), [{}, {}])
  t.equal(questions, 1)
})

t.test('GET /debug/ready answers 503 once the registry drains', async t => {
  const { url, health } = await startDebugApp(t)
  health.drain()

  t.match(await ask(`${url}/debug/ready`), { status: 503, body: /draining/ })
  t.equal((await ask(`${url}/debug/live`, 'HEAD')).status, 200)
  t.equal((await ask(`${url}/debug/health`)).status, 200)
})

t.test('POST /debug/health/down takes the registry out of service until /debug/health/up', async t => {
  const { url, health, metrics } = await startDebugApp(t)

  t.equal((await fetch(`${url}/debug/health/down`, json)).status, 204)
  t.ok(health.isFailing)
  t.match(await ask(`${url}/debug/health`), { status: 503, body: /manual_http_status/ })
  t.match(await metrics.registry.metrics(), /entrepot_health_check_failing\{check="manual_http_status"\} 1/)
  t.equal((await fetch(`${url}/debug/health/up`, json)).status, 204)
  t.notOk(health.isFailing)
})

t.test('POST /debug/health/down refuses what the page of another origin could send', async t => {
  const { url, health } = await startDebugApp(t)
  const foreign = { ...json, headers: { ...json.headers, Origin: 'https://elsewhere.example' } }

  t.equal((await fetch(`${url}/debug/health/down`, { method: 'POST', body: '{}' })).status, 415)
  t.equal((await fetch(`${url}/debug/health/down`, foreign)).status, 403)
  t.equal((await ask(`${url}/debug/health/down`)).status, 404)
  t.notOk(health.isFailing)
})

t.test('GET /debug/vars tells of memory and of what was mirrored', async t => {
  const { url, metrics } = await startDebugApp(t)
  metrics.proxyRequests.inc({ type: 'blob' }, 3)
  metrics.proxyHits.inc({ type: 'blob' }, 2)

  const vars = (await (await fetch(`${url}/debug/vars`)).json()) as Record<string, unknown>

  t.match(vars, {
    memstats: { Sys: Number, HeapAlloc: Number },
    registry: {
      proxy: {
        blobs: { Requests: 3, Hits: 2, Misses: 0 },
        manifests: { Requests: 0 },
      },
    },
  })
})

t.test('GET of the metrics path gives the exposition, where that is on', async t => {
  const { url: on } = await startDebugApp(t)
  const { url: off } = await startDebugApp(t, { enabled: false })

  const res = await fetch(`${on}/metrics`)

  t.equal(res.status, 200)
  t.match(res.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  t.match(await res.text(), /# TYPE registry_http_requests_total counter/)
  t.equal((await fetch(`${off}/metrics`)).status, 404)
})
