import path from 'node:path'
import t, { type Test } from 'tap'
import { main } from '../../lib/cli/main.ts'
import type { WarmRequest } from '../../lib/proxy/warm.ts'
import { createMemoryCache, digestFor, startAdminApp } from '../support/cache-admin.ts'
import { RecordedIo } from '../support/recorded-io.ts'
import { hold } from '../support/stores.ts'
import { until } from '../support/until.ts'

async function start(t: Test) {
  const memory = createMemoryCache()
  const requests: WarmRequest[] = []
  const { url, server } = await startAdminApp(t, {
    ...memory.cache,
    warm(request, options) {
      requests.push(request)
      return memory.cache.warm(request, options)
    },
  })
  async function run(argv: readonly string[], io = new RecordedIo()) {
    const exitCode = await main(['cache', 'warm', ...argv, '--server', url], io)
    return { exitCode, ...io.written }
  }
  return { memory, requests, run, server }
}

t.test('registry cache warm rejects what it cannot ask for', async t => {
  const { run, requests } = await start(t)
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /expected an image, or a --file with some/],
    [['Nginx'], /Cannot parse repository name "Nginx"/],
    [['nginx', '--platform', 'arm'], /Cannot parse platform "arm"/],
    [['--file', '/none.txt'], /ENOENT/],
  ]
  for (const [argv, message] of cases) {
    const { exitCode, stderr } = await run(argv)
    t.equal(exitCode, 1)
    t.match(stderr, message)
  }
  t.same(requests, [])
})

t.test('registry cache warm ends with 1 when an image failed, and warms the others', async t => {
  const { run } = await start(t)

  const { exitCode, stdout, stderr } = await run(['broken', 'nginx:1.27'])

  t.equal(exitCode, 1)
  t.equal(stderr, '')
  t.same(stdout.split('\n'), [
    'broken:latest: failed: Cannot open?[2J it: no such blob',
    `nginx:1.27: ${digestFor('nginx:1.27')}, 2 blobs, 70 MB`,
    'nginx:1.27: fetched 50 MB, had 20 MB, took 3s',
    '',
  ])
})

t.test('registry cache warm passes on platforms, referrers and the images of a file', async t => {
  const { run, requests } = await start(t)
  const file = path.join(
    t.testdir({ 'images.txt': '# ours\nghcr.io/team/app:v3  # twice\n\n  redis\n' }),
    'images.txt',
  )

  const options = ['--platform', 'linux/amd64,linux/arm64/v8', '--with-referrers']
  await run(['nginx', ...options, '--file', file])
  await run(['--platform', 'all', '--file', '-'], new RecordedIo({ stdin: 'redis\nnginx' }))

  t.match(requests[0], {
    images: [{ repository: 'nginx' }, { host: 'ghcr.io', tag: 'v3' }, { repository: 'redis' }],
    platforms: [{ architecture: 'amd64' }, { architecture: 'arm64', variant: 'v8' }],
    withReferrers: true,
  })
  t.match(requests[1], {
    images: [{ repository: 'redis' }, { repository: 'nginx' }],
    platforms: 'all',
    withReferrers: false,
  })
})

t.test('registry cache warm asks for many images in several requests', async t => {
  const { run, requests } = await start(t)
  const stdin = Array.from({ length: 120 }, (_, at) => `team/app:${at}`).join('\n')

  const { exitCode, stdout } = await run(['--file', '-'], new RecordedIo({ stdin }))

  t.equal(exitCode, 0)
  t.equal(requests.length, 3)
  t.equal(stdout.match(/fetched/g)?.length, 120)
})

t.test('registry cache warm stops at a signal, and so does the server', async t => {
  const { memory, run } = await start(t)
  memory.holdWarming(hold().released)
  const io = new RecordedIo()

  const running = run(['nginx', 'redis'], io)
  await until(() => memory.warming === 1)
  io.send('SIGINT')

  t.equal((await running).exitCode, 130)
  t.equal(io.written.stderr, '')
  t.notOk(io.listensForSignals)
  await until(() => memory.warming === 0)
})

t.test('registry cache warm fails when the server goes away', async t => {
  const { memory, run, server } = await start(t)
  memory.holdWarming(hold().released)

  const running = run(['nginx'])
  await until(() => memory.warming === 1)
  server.closeAllConnections()

  t.match(await running, { exitCode: 1, stderr: /^registry: \S/ })
})
