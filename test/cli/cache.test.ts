import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import type { OpenOffline } from '../../lib/cli/find-cache.ts'
import { main } from '../../lib/cli/main.ts'
import { createMemoryCache, digestFor, startAdminApp } from '../support/cache-admin.ts'
import { RecordedIo } from '../support/recorded-io.ts'

async function start(t: Test) {
  const memory = createMemoryCache()
  const { url, port, server } = await startAdminApp(t, memory.cache)
  const run = (...argv: readonly string[]) => runWith({}, ...argv, '--server', url)
  return { memory, url, port, server, run }
}

interface Surroundings {
  readonly env?: Readonly<Record<string, string>>
  readonly openOffline?: OpenOffline
}

async function runWith({ env, openOffline }: Surroundings, ...argv: readonly string[]) {
  const io = new RecordedIo(env === undefined ? {} : { env })
  const exitCode = await main(argv, io, { openOffline })
  return { exitCode, ...io.written }
}

let configurations = 0

function configuration(
  t: Test,
  http: string,
  proxy = 'proxy: {remoteurl: "https://registry.example"}',
): string {
  const text = `version: 0.1\nstorage: inmemory\n${http}\n${proxy}\n`
  const file = path.join(t.testdirName, `${configurations++}.yml`)
  fs.mkdirSync(t.testdirName, { recursive: true })
  fs.writeFileSync(file, text)
  return file
}

t.test('registry cache says why it cannot find a server', async t => {
  t.testdir()
  const nobody = http.createServer()
  await once(nobody.listen(0, '127.0.0.1'), 'listening')
  const { port } = nobody.address() as AddressInfo
  nobody.close()
  await once(nobody, 'close')
  const debug = (addr: string) => `http: {debug: {addr: "${addr}"}}`
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /^configuration error: found no file, expected one as an argument or in REGISTRY_CONFIG/],
    [['--config', '/none.yml'], /^configuration error: Cannot read "\/none\.yml": ENOENT/],
    [
      ['--config', configuration(t, '')],
      /^registry: Cannot find the server: http\.debug\.addr is not configured/,
    ],
    [
      ['--config', configuration(t, debug('127.0.0.1:0'))],
      /^registry: Cannot find the server: .* any free port/,
    ],
    [
      ['--config', configuration(t, debug(`127.0.0.1:${port}`), '')],
      /^registry: There is no cache: the configuration has no proxy section/,
    ],
    [
      ['--config', configuration(t, debug(`:${port}`))],
      new RegExp(
        `^registry: Cannot ask http://127\\.0\\.0\\.1:${port}/: nobody listens there; is the registry running\\?`,
      ),
    ],
    [['--server', 'ftp://mirror'], /^registry: Cannot use --server "ftp:\/\/mirror": expected a URL/],
    [['--server', 'http://mirror', '--offline'], /^registry: Cannot work both offline and with --server/],
  ]
  for (const [argv, message] of cases) {
    const { exitCode, stdout, stderr } = await runWith({}, 'cache', 'stats', ...argv)
    t.equal(exitCode, 1, argv.join(' '))
    t.equal(stdout, '')
    t.match(stderr, message)
    t.equal(stderr.trimEnd().split('\n').length, 1)
  }
})

t.test('registry cache tells a server that is no mirror, and one that is no registry, from ours', async t => {
  const { url } = await startAdminApp(t, undefined)
  const other = http.createServer((_, res) => res.writeHead(404).end('<html>\u001b[2J'))
  await once(other.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo

  const noMirror = await runWith({}, 'cache', 'ls', '--server', url)
  const noRegistry = await runWith({}, 'cache', 'ls', '--server', `127.0.0.1:${port}`)

  t.match(noMirror, { exitCode: 1, stderr: /^registry: This registry mirrors nothing/ })
  t.match(noRegistry, { exitCode: 1, stderr: /answered 404; is it the http\.debug\.addr of a registry\?\n$/ })
})

t.test('registry cache rejects arguments that make no sense', async t => {
  const cases = {
    cache: /^Usage: registry cache/,
    'cache lst': /unknown command 'lst'/,
    'cache purge': /missing required argument 'image'/,
    'cache pin a --offline': /unknown option '--offline'/,
  }
  for (const [argv, message] of Object.entries(cases)) {
    const { exitCode, stderr } = await runWith({}, ...argv.split(' '))
    t.equal(exitCode, 1)
    t.match(stderr, message)
  }
})

t.test('registry cache has help with examples for each command', async t => {
  for (const command of ['ls', 'stats', 'du', 'pins', 'pin', 'unpin', 'purge', 'warm']) {
    const { exitCode, stdout } = await runWith({}, 'cache', command, '--help')
    t.equal(exitCode, 0)
    t.match(stdout, new RegExp(`Examples:\\n  registry cache ${command}`))
  }
})

t.test('registry cache finds the server by the configuration that the environment names', async t => {
  const { port } = await start(t)
  const env = {
    REGISTRY_CONFIGURATION_PATH: configuration(t, ''),
    REGISTRY_HTTP_DEBUG_ADDR: `:${port}`,
  }

  t.match(await runWith({ env }, 'cache', 'pins'), { exitCode: 0, stdout: /library\/nginx/ })
})

t.test('registry cache ls prints what matches as an aligned table', async t => {
  const { run } = await start(t)
  const digest = digestFor('library/nginx:1.27').slice(0, 19)

  const { exitCode, stdout } = await run('cache', 'ls', 'nginx:1.27')

  t.equal(exitCode, 0)
  t.same(stdout.split('\n'), [
    'IMAGE               DIGEST                 SIZE  USED    CHECKED  TTL LEFT  UPSTREAM   PINNED',
    `library/nginx:1.27  ${digest}  1.2 GB  3h ago  45m ago  14s       docker.io  yes`,
    '',
  ])
  t.match((await run('cache', 'ls')).stdout, /^ghcr\.io\/team\/app:v3 .* forever +ghcr\.io$/m)
  t.match((await run('cache', 'ls')).stdout, /^library\/nginx {2}.* 3h ago {2}- {2}/m)
  t.match(await run('cache', 'ls', 'none'), { exitCode: 0, stdout: 'Nothing is cached that matches.\n' })
  t.match(await run('cache', 'ls', '/(/'), { exitCode: 1, stderr: /^registry: Invalid regular expression/ })
})

t.test('registry cache ls --json prints an array', async t => {
  const { run, memory } = await start(t)

  const { stdout } = await run('cache', 'ls', '--json')

  t.same(JSON.parse(stdout), JSON.parse(JSON.stringify(memory.images)))
})

t.test('registry cache stats prints totals and how upstreams are doing', async t => {
  const { run } = await start(t)

  const { stdout } = await run('cache', 'stats')

  t.same(stdout.split('\n'), [
    'used       12 GB of 100 GB (12%), evicts above 95 GB down to 85 GB',
    'content    1234 manifests and blobs',
    'pinned     1.2 GB',
    'under way  1 fill, 0 B reserved',
    'served     5.0 TB from the cache since the start',
    'evicted    3.0 GB in 12 pieces since the start',
    '',
    'UPSTREAM   HITS  MISSES  STALE  URL                   CIRCUIT                           ANSWERED  RATE LIMIT',
    'docker.io   900      80      7  registry-1.docker.io  open, next try in 9m (no answer)  -         76 of 100 left, per 6h',
    '                                mirror.example        closed                            5m ago    -',
    '',
  ])
  t.match(JSON.parse((await run('cache', 'stats', '--json')).stdout), { entries: 1234 })
})

t.test('registry cache du prints the largest repository first', async t => {
  const { run } = await start(t)

  const { stdout } = await run('cache', 'du')

  t.same(stdout.split('\n'), [
    '  SIZE  EXCLUSIVE  REPOSITORY',
    '2.1 MB          -  library/nginx',
    '1.0 MB     900 kB  ghcr.io/team/app',
    '3.0 MB             in all',
    '',
  ])
  t.match(JSON.parse((await run('cache', 'du', '--json')).stdout), { totalBytes: 3_000_000 })
})

t.test('registry cache pin, pins and unpin change what is pinned', async t => {
  const { run } = await start(t)

  t.match(await run('cache', 'pin', 'ghcr.io/*'), { exitCode: 0, stdout: 'pinned  ghcr.io/*\n' })
  t.same((await run('cache', 'pins')).stdout.split('\n'), [
    'PATTERN            PINNED BY',
    'library/nginx:1.*  configuration',
    'ghcr.io/*          operator',
    '',
  ])
  t.match(await run('cache', 'unpin', 'ghcr.io/*'), { exitCode: 0, stdout: 'unpinned  ghcr.io/*\n' })
  t.match(await run('cache', 'unpin', 'ghcr.io/*'), {
    exitCode: 1,
    stderr: 'registry: Cannot unpin "ghcr.io/*": it is not pinned\n',
  })
  t.match(await run('cache', 'unpin', 'library/nginx:1.*'), {
    exitCode: 1,
    stderr: /pinned by the configuration/,
  })
  t.match(JSON.parse((await run('cache', 'pins', '--json')).stdout), [{ source: 'configuration' }])
})

t.test('registry cache purge removes an image, and says what has stayed', async t => {
  const { run, memory } = await start(t)

  t.match(await run('cache', 'purge', 'library/nginx:1.27'), {
    exitCode: 1,
    stdout: 'library/nginx:1.27: removed 0 B in 0 manifests and blobs\n'.concat(
      'library/nginx:1.27: kept 1 that are pinned (--force removes them, too)\n',
    ),
  })
  t.match(await run('cache', 'purge', 'library/nginx:1.27', '--force'), {
    exitCode: 0,
    stdout: 'library/nginx:1.27: removed 1.2 GB in 1 manifests and blobs\n',
  })
  t.match(await run('cache', 'purge', 'library/nginx:1.27'), {
    exitCode: 1,
    stderr: 'registry: Cannot purge "library/nginx:1.27": nothing of it is cached\n',
  })
  t.match(await run('cache', 'purge', 'library/nginx', '--all-tags'), { exitCode: 0 })
  t.match(await run('cache', 'purge', 'Nginx'), {
    exitCode: 1,
    stderr: /^registry: Cannot parse repository name "Nginx"/,
  })
  t.equal(memory.images.length, 1)
})

t.test('registry cache --offline reads the store that is opened for it, and closes it', async t => {
  const { cache } = createMemoryCache()
  let closed = 0
  const openOffline: OpenOffline = async ({ proxy }) => {
    t.match(proxy, { upstreams: [{ urls: [new URL('https://registry.example')] }] })
    return { ...cache, close: async () => void closed++ }
  }
  const config = configuration(t, '')

  const ran = await runWith({ openOffline }, 'cache', 'ls', '--offline', '--config', config)
  const failed = await runWith(
    { openOffline: () => Promise.reject(new Error('the disk is gone')) },
    ...['cache', 'ls', '--offline', '--config', config],
  )

  t.match(ran, { exitCode: 0, stdout: /library\/nginx:1\.27/ })
  t.equal(closed, 1)
  t.match(failed, { exitCode: 1, stderr: 'registry: the disk is gone\n' })
})
