// What a process leaves behind, and who takes it over.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { notificationsSection } from '../../lib/config/notifications.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { formatRecord } from '../../lib/notifications/journal-format.ts'
import { startNotifications } from '../../lib/notifications/notifications.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'
import { startReceiver } from '../support/webhook-receiver.ts'

const names = (count: number) => Array.from({ length: count }, (_, index) => `t${index}`)

async function start(t: Test, url: string, directory: string, clock: Clock = systemClock) {
  const log: Record<string, unknown>[] = []
  const write = (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>)
  const notifications = await startNotifications(
    notificationsSection.parse({ endpoints: [{ name: 'hook', url, timeout: '10s' }] }),
    {
      clock,
      logger: createLogger({ level: 'debug', formatter: 'json', fields: {}, write }),
      metrics: createMetrics(),
      version: '1',
      env: {},
      source: { addr: 'here:1', instanceId: 'run' },
      directory,
    },
  )
  t.teardown(() => notifications.close(0))
  return { log }
}

const envelope = (tag: string) => JSON.stringify({ events: [{ action: 'push', target: { tag } }] })

/** The folder of another process, somewhere. */
function leave(root: string, endpoint: string, content: string): string {
  const folder = path.join(root, 'other', endpoint)
  fs.mkdirSync(folder, { recursive: true })
  const owner = path.join(root, 'other', 'owner')
  fs.writeFileSync(owner, JSON.stringify({ boot: 'another', space: 'pid:[1]', pid: 1, started: '1' }))
  fs.writeFileSync(path.join(folder, '000000000001.events'), content)
  return folder
}

function touch(file: string, agoMs: number): void {
  const atS = (Date.now() - agoMs) / 1000
  fs.utimesSync(file, atS, atS)
}

t.test('a killed process loses no event, and at most the last delivered one comes twice', async t => {
  const child = `${t.testdir({})}/child.mjs`
  buildSync({
    entryPoints: [fileURLToPath(new URL('crash-child.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: child,
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  })
  const directory = `${path.dirname(child)}/waiting`
  const receiver = await startReceiver(t)
  receiver.answer = ({ body }) => (body.includes('"t20"') ? undefined : 200)
  const running = spawn(process.execPath, [child, directory, receiver.url, '200'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => running.kill('SIGKILL'))
  await once(running.stdout, 'data')
  await until(() => receiver.requests.length > 20 && written(directory).includes('\\"t199\\"'))

  running.kill('SIGKILL')
  await once(running, 'exit')
  receiver.answer = () => 200
  const { log } = await start(t, receiver.url, directory)
  await until(() => receiver.events.at(-1)?.target['tag'] === 't199')

  const tags = receiver.events.map(({ target }) => target['tag'])
  t.same([...new Set(tags)], names(200))
  t.ok(tags.length <= 202, `${tags.length - 200} came twice`)
  t.ok(log.some(({ msg }) => msg === 'took over notifications that were not delivered'))
  t.equal(fs.readdirSync(directory).length, 1)
})

function written(directory: string): string {
  if (!fs.existsSync(directory)) return ''
  return fs
    .readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.events'))
    .map(file => fs.readFileSync(path.join(directory, file), 'utf8'))
    .join('')
}

t.test('what a process elsewhere has is its own as long as it gives signs of life', async t => {
  const root = t.testdir({})
  const receiver = await startReceiver(t)
  const torn = formatRecord(envelope('v3')).slice(0, 30)
  leave(root, 'hook', formatRecord(envelope('v1')) + formatRecord(envelope('v2')) + torn)
  const clock = new ManualClock()
  const { log } = await start(t, receiver.url, root, clock)
  t.same(fs.readdirSync(root).includes('other'), true)
  t.equal(receiver.requests.length, 0)

  touch(path.join(root, 'other', 'owner'), 100_000)
  clock.advance(20_000)
  await until(() => receiver.requests.length === 2)

  t.same(
    receiver.events.map(({ target }) => target['tag']),
    ['v1', 'v2'],
  )
  t.ok(log.some(({ msg }) => msg === 'cut off what a crash has left of a notification'))
  await until(() => fs.readdirSync(root).length === 1)
})

t.test('what was changed on disk is passed over', async t => {
  const root = t.testdir({})
  const receiver = await startReceiver(t)
  const changed = formatRecord(envelope('v1')).replace('v1', 'w1')
  leave(root, 'hook', changed + formatRecord(envelope('v2')))
  touch(path.join(root, 'other', 'owner'), 100_000)

  await start(t, receiver.url, root)
  await until(() => receiver.requests.length === 1)

  t.equal(receiver.events[0]?.target['tag'], 'v2')
})

t.test('events for an endpoint that is not configured are kept for a week', async t => {
  const root = t.testdir({})
  const receiver = await startReceiver(t)
  const folder = leave(root, 'renamed', formatRecord(envelope('v1')))
  touch(path.join(root, 'other', 'owner'), 100_000)
  const clock = new ManualClock()

  const { log } = await start(t, receiver.url, root, clock)
  const said = log.find(({ msg }) => msg === 'notifications wait for an endpoint that is not configured')
  t.match(said, { level: 'warning', events: 1 })
  t.ok(fs.existsSync(folder))

  touch(folder, 8 * 24 * 60 * 60 * 1000)
  clock.advance(20_000)
  await until(() => !fs.existsSync(folder))
  t.equal(receiver.requests.length, 0)
})
