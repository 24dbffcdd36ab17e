import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import type { HealthConfig } from '../../../lib/config/health.ts'
import { askStorage, checksOf } from '../../../lib/http/ops/checks.ts'
import { Health, type Check } from '../../../lib/http/ops/health.ts'
import { createLogger } from '../../../lib/log.ts'
import { createMetrics } from '../../../lib/metrics.ts'
import { PathNotFoundError, StorageError, type StorageDriver } from '../../../lib/storage/driver/driver.ts'
import { codesOf, startApp } from '../../support/http-client.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { openTestDriver } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

const timing = { intervalMs: 1000, threshold: 0 }
const none: HealthConfig = { storagedriver: { enabled: false, ...timing }, file: [], http: [], tcp: [] }

function startHealth(t: Test, checks: readonly Check[]) {
  const clock = new ManualClock()
  const metrics = createMetrics()
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    formatter: 'json',
    fields: {},
    write: line => void lines.push(line),
  })
  const health = new Health({ clock, logger, metrics })
  t.teardown(() => health.stop())
  health.start(checks)
  return { clock, health, lines, metrics }
}

async function portOf(t: Test, server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** What the only check of this configuration says; undefined: nothing is wrong. */
async function problemOf(config: Partial<HealthConfig>, driver: StorageDriver): Promise<string | undefined> {
  const [check] = checksOf({ ...none, ...config }, driver)
  return await check?.run(new AbortController().signal).then(
    () => undefined,
    (err: unknown) => (err as Error).message,
  )
}

t.test('a check counts as failing from its threshold on, and one success is enough to mend it', async t => {
  const answers = [false, false, true, false, false, false, true]
  let runs = 0
  const check: Check = {
    name: 'c',
    intervalMs: 1000,
    threshold: 3,
    run: async () => {
      if (!answers[runs++]) throw new Error('no')
    },
  }
  const { clock, health, lines, metrics } = startHealth(t, [check])
  const seen: boolean[] = []

  t.notOk(health.isFailing)
  for (const [i] of answers.entries()) {
    await clock.slept()
    clock.advance(1000)
    await until(() => runs === i + 1 && clock.sleeping === 1)
    seen.push(health.isFailing)
  }

  t.same(seen, [false, false, false, false, false, true, false])
  t.equal(lines.length, 2, 'a line when it begins, a line when it ends')
  t.match(await metrics.registry.metrics(), /entrepot_health_check_failing\{check="c"\} 0/)
})

t.test('a check ends with its registry, also while it is being made', async t => {
  let state = 'waiting'
  const check: Check = {
    ...timing,
    name: 'c',
    run: signal =>
      new Promise((_resolve, reject) => {
        state = 'running'
        signal.addEventListener('abort', () => {
          state = 'aborted'
          reject(signal.reason as Error)
        })
      }),
  }
  const { clock, health } = startHealth(t, [check])
  await clock.slept()
  clock.advance(1000)
  await until(() => state === 'running')
  health.stop()
  await new Promise(resolve => setImmediate(resolve))

  t.equal(state, 'aborted')
  t.equal(clock.sleeping, 0)
  t.notOk(health.isFailing)
})

t.test('checksOf() names each check by what it looks at, without passwords', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const checks = checksOf(
    {
      storagedriver: { enabled: true, ...timing },
      file: [{ file: '/down', ...timing }],
      http: [
        { uri: new URL('http://me:s3cret@h/x'), headers: {}, statuscode: 200, timeoutMs: 10, ...timing },
      ],
      tcp: [{ addr: 'h:1', timeoutMs: 10, ...timing }],
    },
    driver,
  )

  t.same(
    checks.map(({ name }) => name),
    ['storagedriver_inmemory', '/down', 'http://h/x', 'h:1'],
  )
})

t.test('the storage check lets an empty store pass, and no silent one', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const failing = (err: Error) => ({ ...driver, stat: () => Promise.reject(err) })

  await t.resolves(askStorage(driver))
  await t.resolves(askStorage(failing(new PathNotFoundError('/'))))
  await t.rejects(askStorage(failing(new StorageError('the disk is gone', '/'))), {
    message: 'the disk is gone',
  })
  const hangs = { ...driver, stat: () => new Promise<never>(() => {}) }
  await t.rejects(askStorage(hangs, AbortSignal.abort(new Error('enough'))), { message: 'enough' })
})

t.test('the file check fails while the file is there', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const file = path.join(t.testdir({}), 'down')
  const problem = (file: string) => problemOf({ file: [{ file, ...timing }] }, driver)

  t.equal(await problem(file), undefined)
  writeFileSync(file, '')
  t.equal(await problem(file), 'file exists')
  t.match(await problem(path.join(file, 'x')), /ENOTDIR/)
  rmSync(file)
  t.equal(await problem(file), undefined)
})

t.test('the http check sends HEAD with its headers and expects its status', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const asked: (readonly unknown[])[] = []
  const server = http.createServer((req, res) => {
    const { authorization, 'x-probe': probe } = req.headers
    asked.push([req.method, probe, authorization])
    if (req.url === '/hangs') return
    res.writeHead(req.url === '/teapot' ? 418 : 200).end()
  })
  t.teardown(() => server.closeAllConnections())
  const port = await portOf(t, server)
  const problem = (path: string, statuscode = 200, timeoutMs = 10_000) => {
    const uri = new URL(`http://me:pw@127.0.0.1:${port}${path}`)
    return problemOf(
      { http: [{ uri, headers: { 'X-Probe': ['1', '2'] }, statuscode, timeoutMs, ...timing }] },
      driver,
    )
  }

  t.equal(await problem('/'), undefined)
  t.equal(await problem('/teapot', 418), undefined)
  t.equal(await problem('/teapot'), 'unexpected status: 418, expected 200')
  t.equal(await problem('/hangs', 200, 50), 'no answer within 0.05s')
  t.same(asked[0], ['HEAD', '1, 2', `Basic ${Buffer.from('me:pw').toString('base64')}`])
})

t.test('the tcp check expects somebody to listen', async t => {
  const driver = await openTestDriver(t, 'inmemory')
  const server = createServer(socket => socket.destroy())
  const port = await portOf(t, server)
  const problem = (addr: string) => problemOf({ tcp: [{ addr, timeoutMs: 10_000, ...timing }] }, driver)

  t.equal(await problem(`127.0.0.1:${port}`), undefined)
  server.close()
  await until(() => !server.listening)
  t.match(await problem(`127.0.0.1:${port}`), /ECONNREFUSED/)
  t.match(await problem('nonsense'), /not of the form host:port/)
})

t.test('while a check fails every request is answered with 503', async t => {
  let isFailing = true
  const { url, logLines } = await startApp(t, { isFailing: () => isFailing })

  for (const path of ['/', '/v2/', '/nowhere', '/v2/foo/tags/list']) {
    const res = await fetch(url + path)
    t.equal(res.status, 503, path)
    t.equal(
      await res.text(),
      '{"errors":[{"code":"UNAVAILABLE","message":"service unavailable",' +
        '"detail":"health check failed: please see /debug/health"}]}\n',
    )
  }
  isFailing = false
  t.equal((await fetch(`${url}/v2/`)).status, 200)
  t.same(await codesOf(await fetch(`${url}/nowhere`)), ['NAME_UNKNOWN'])
  t.notOk(
    logLines.some(line => 'err' in line),
    'no stack for each request',
  )
})
