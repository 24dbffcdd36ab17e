// The fault-injecting upstream as a program: its arguments, the line it prints, its control endpoint, its end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import readline from 'node:readline'
import t from 'tap'
import { startFakeUpstream } from '../fake-upstream.ts'
import { until } from '../until.ts'
import { parseCommandLine } from './command-line.ts'
import { main } from './main.ts'
import { parseFaults } from './schema.ts'

t.test('parseCommandLine() rejects what it cannot read, and names it', async t => {
  const wrong = {
    to: ['--to', 'registry.example'],
    listen: ['--to', 'http://a', '--listen', '5000'],
    latency: ['--to', 'http://a', '--latency', '20'],
    rate: ['--to', 'http://a', '--rate', 'fast'],
    header: ['--to', 'http://a', '--header', 'Retry-After=5'],
    unknown: ['--to', 'http://a', '--unknown'],
  }

  for (const [option, argv] of Object.entries(wrong)) {
    t.throws(() => parseCommandLine(argv), { message: new RegExp(`--${option}`) })
  }
})

t.test('parseCommandLine() makes rules of options, before those of --faults', async t => {
  const argv = [
    ...['--to', 'https://registry.example/mirror', '--listen', '[::1]:5000', '--latency', '20ms'],
    ...['--rate', '50MB', '--cut', '1MiB', '--times', '3', '--status', '503', '--ratio', '0.1'],
    ...['--header', 'Retry-After: 5', '--header', 'Via:', '--auth', '--credentials', 'user:a:b'],
    ...['--content-digest', 'absent', '--chunked', '--budget', '100', '--refuse-head', '405'],
    ...['--faults', '{"rules":[{"times":1,"blackHole":true}]}'],
  ]

  const { to, listen, faults } = parseCommandLine(argv)

  t.equal(to, 'https://registry.example/mirror')
  t.same(listen, { host: '::1', port: 5000 })
  t.same(parseFaults(faults), {
    listening: true,
    auth: { username: 'user', password: 'a:b' },
    rules: [
      { latencyMs: 20 },
      { bytesPerSecond: 50_000_000 },
      { status: 503, headers: { 'retry-after': '5', via: null }, times: 3, ratio: 0.1 },
      { match: { kind: 'blob', method: 'HEAD' }, status: 405 },
      { match: { kind: 'blob' }, cut: { afterBytes: 2 ** 20, times: 3 } },
      { match: { kind: ['blob', 'manifest'] }, chunked: true, headers: { 'docker-content-digest': null } },
      { match: { kind: 'manifest' }, budget: { limit: 100, windowSeconds: 21_600 } },
      { times: 1, blackHole: true },
    ],
  })
})

t.test('main() explains itself and exits 2 for arguments that it cannot read', async t => {
  const run = runMain(['--to', 'nowhere'])

  t.equal(await run.exited, 2)
  t.match(run.errors.join(''), /Cannot read --to "nowhere"[^]*usage:/)
  t.same(run.lines, [])
})

t.test('main() prints its origins, and answers for faults and statistics until it is ended', async t => {
  const fake = await startFakeUpstream(t)
  fake.addManifest('app', 'latest', {})
  const run = runMain(['--to', fake.url.origin, '--status', '503'])
  t.teardown(() => run.end())
  await until(() => run.lines.length > 0)
  const { url, controlUrl } = JSON.parse(run.lines[0] ?? '')
  const manifestUrl = `${url}/v2/app/manifests/latest`
  const put = (body: string) => fetch(`${controlUrl}/faults`, { method: 'PUT', body })

  const statuses = [await statusOf(manifestUrl)]
  const refused = await put('{"rules":[{"latency":1}]}')
  statuses.push(await statusOf(manifestUrl))
  const accepted = await put('{"rules":[]}')
  statuses.push(await statusOf(manifestUrl))
  const stats = (await (await fetch(`${controlUrl}/stats`)).json()) as object
  await statusOf(`${controlUrl}/stats/reset`, 'POST')
  const afterwards = (await (await fetch(`${controlUrl}/stats`)).json()) as object

  t.same(statuses, [503, 503, 200])
  t.match([refused.status, accepted.status], [400, 200])
  t.match(await refused.json(), { error: /"latency"/ })
  t.same(await accepted.json(), { rules: [], listening: true })
  t.match(stats, { requests: 3, byKind: { manifest: 3 }, byStatus: { 200: 1, 503: 2 } })
  t.match(afterwards, { requests: 0 })
  run.end()
  t.equal(await run.exited, 0)
  await t.rejects(fetch(url))
})

t.test('fault-upstream.mjs runs by hand and ends with a signal', async t => {
  const program = path.join(import.meta.dirname, '../fault-upstream.mjs')
  const child = spawn(process.execPath, [program, '--to', 'http://127.0.0.1:1', '--status', '404'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] }, // without tap's loaders
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const [line] = (await once(readline.createInterface({ input: child.stdout }), 'line')) as [string]

  const { url, cdnUrl, tokenUrl, controlUrl } = JSON.parse(line)
  const status = await statusOf(`${url}/v2/`)
  child.kill('SIGTERM')

  t.equal(status, 404)
  t.equal(new Set([url, cdnUrl, tokenUrl, controlUrl]).size, 4)
  t.same(await exited, [0, null])
})

function runMain(argv: readonly string[]) {
  const end = new AbortController()
  const lines: string[] = []
  const errors: string[] = []
  const exited = main(argv, {
    out: text => void lines.push(text),
    error: text => void errors.push(text),
    signal: end.signal,
  })
  return { exited, lines, errors, end: () => end.abort() }
}

async function statusOf(url: string, method = 'GET'): Promise<number> {
  const answer = await fetch(url, { method })
  await answer.arrayBuffer()
  return answer.status
}
