// Delivery over HTTP to an endpoint that is well, slow, in trouble or gone, and what lies on disk meanwhile.
import fs from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { notificationsSection } from '../../lib/config/notifications.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { RegistryEvent } from '../../lib/notifications/event.ts'
import { startNotifications } from '../../lib/notifications/notifications.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'
import { startReceiver, type Receiver } from '../support/webhook-receiver.ts'

interface Options {
  readonly endpoint?: object
  readonly directory?: string | undefined
  readonly maxevents?: number
  readonly clock?: Clock
}

async function start(t: Test, url: string, options: Options = {}) {
  const log: Record<string, unknown>[] = []
  const write = (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>)
  const metrics = createMetrics()
  const { maxevents = 1000, clock = systemClock, directory, endpoint } = options
  const config = notificationsSection.parse({
    endpoints: [{ name: 'hook', url, timeout: '10s', threshold: 2, backoff: '1ms', ...endpoint }],
    queue: { maxevents },
  })
  const notifications = await startNotifications(config, {
    clock,
    logger: createLogger({ level: 'debug', formatter: 'json', fields: {}, write }),
    metrics,
    version: '1',
    env: {},
    source: { addr: 'here:5000', instanceId: 'run' },
    directory,
  })
  let closing: Promise<void> | undefined
  const close = (graceMs = 0) => (closing ??= notifications.close(graceMs))
  t.teardown(() => close())
  return {
    log,
    close,
    publish: (...tags: readonly string[]) => tags.forEach(tag => notifications.sink?.publish(push(tag))),
    publishEvent: (event: RegistryEvent) => notifications.sink?.publish(event),
    sink: notifications.sink,
    async metric(name: string): Promise<string | undefined> {
      const lines = (await metrics.registry.metrics()).split('\n')
      return lines.find(line => line.startsWith(name))?.slice(name.length + 1)
    },
  }
}

function push(tag: string, mediaType = 'x/y'): RegistryEvent {
  return { action: 'push', target: { mediaType, repository: 'app', tag } }
}

const tagsOf = ({ events }: Receiver) => events.map(({ target }) => target['tag'])
const names = (count: number) => Array.from({ length: count }, (_, index) => `t${index}`)

t.test('an event is one POST with the media type and the headers that were configured', async t => {
  const receiver = await startReceiver(t)
  const hook = await start(t, `${receiver.url}/in?x=1`, { endpoint: { headers: { 'X-Key': ['secret'] } } })

  hook.publish('v1')
  await until(() => receiver.requests.length === 1)

  const [request] = receiver.requests
  t.match(request, {
    method: 'POST',
    url: '/in?x=1',
    headers: { 'x-key': 'secret', 'user-agent': 'entrepot/1' },
  })
  t.equal(request?.headers['content-type'], 'application/vnd.docker.distribution.events.v2+json')
  t.ok(hook.log.some(({ msg }) => String(msg).startsWith('configuring endpoint hook (http://127.0.0.1')))
  t.notMatch(JSON.stringify(hook.log), 'secret')
  await until(
    async () =>
      (await hook.metric('registry_notifications_status_total{endpoint="hook",code="200 OK"}')) === '1',
  )
  t.equal(await hook.metric('registry_notifications_events_total{endpoint="hook",type="Successes"}'), '1')
})

t.test('events arrive in their order, from disk as from memory', async t => {
  for (const directory of [undefined, t.testdir({})]) {
    const receiver = await startReceiver(t)
    const hook = await start(t, receiver.url, { directory })

    hook.publish(...names(300))
    await until(() => receiver.requests.length === 300)

    t.same(tagsOf(receiver), names(300))
    await hook.close(1000)
    if (directory !== undefined) t.same(fs.readdirSync(directory), [])
  }
})

t.test('a disabled endpoint, ignored media types and ignored actions hear nothing', async t => {
  const receiver = await startReceiver(t)
  const off = await start(t, receiver.url, { endpoint: { disabled: true } })
  const picky = await start(t, receiver.url, {
    endpoint: { ignoredmediatypes: ['a/a'], ignore: { mediatypes: ['b/b'], actions: ['pull'] } },
  })

  t.equal(off.sink, undefined)
  t.ok(off.log.some(({ msg }) => msg === 'endpoint hook disabled, skipping'))
  for (const type of ['a/a', 'b/b', 'c/c']) picky.publishEvent(push('v1', type))
  picky.publishEvent({ ...push('v1'), action: 'pull' })
  picky.publish('last')
  await until(() => receiver.requests.length === 2)

  t.same(
    receiver.events.map(({ target }) => target['mediaType']),
    ['c/c', 'x/y'],
  )
})

t.test(
  'what is not accepted is tried again, at once below the threshold, then with pauses, and said once',
  async t => {
    const receiver = await startReceiver(t)
    const clock = new ManualClock()
    receiver.answer = () => 500
    const hook = await start(t, receiver.url, { clock, endpoint: { threshold: 3, backoff: '7s' } })

    hook.publish('v1', 'v2')
    await clock.slept()
    t.equal(receiver.requests.length, 3)
    clock.advance(6999)
    t.equal(clock.sleeping, 1)
    clock.advance(1)
    await until(() => receiver.requests.length === 4 && clock.sleeping === 1)
    receiver.answer = () => 302 // Without a Location it leads nowhere, and is acceptance.
    clock.advance(7000)
    await until(() => receiver.requests.length === 6)

    t.same(tagsOf(receiver), ['v1', 'v1', 'v1', 'v1', 'v1', 'v2'])
    const failures = hook.log.filter(({ msg }) => msg === 'retryingsink: error writing event, retrying')
    t.match(failures, [{ level: 'error', endpoint: 'hook' }])
    t.equal(failures.length, 1)
    t.equal(await hook.metric('registry_notifications_events_total{endpoint="hook",type="Failures"}'), '4')
  },
)

t.test('a try that is not answered in time is an error, and is made again', async t => {
  const receiver = await startReceiver(t)
  let isSilent = true
  receiver.answer = () => (isSilent ? undefined : 200)
  const hook = await start(t, receiver.url, { endpoint: { timeout: '20ms' } })

  hook.publish('v1')
  await until(() => receiver.requests.length >= 2)
  isSilent = false
  await until(
    async () => (await hook.metric('registry_notifications_pending_total{endpoint="hook"}')) === '0',
  )

  t.not(await hook.metric('registry_notifications_events_total{endpoint="hook",type="Errors"}'), '0')
})

t.test(
  'redirects are followed with the event, and credentials stay with the origin they are for',
  async t => {
    const [first, second] = [await startReceiver(t), await startReceiver(t)]
    first.answer = ({ url }) =>
      url === '/in' ? [307, { location: '/moved' }] : [301, { location: `${second.url}/elsewhere` }]
    const url = first.url.replace('://', '://user:word@')
    const hook = await start(t, `${url}/in`, { endpoint: { headers: { 'X-Key': ['secret'] } } })

    hook.publish('v1')
    await until(() => second.requests.length === 1)

    const basic = `Basic ${Buffer.from('user:word').toString('base64')}`
    t.match(first.requests, [
      { url: '/in', headers: { 'x-key': 'secret', authorization: basic } },
      { url: '/moved', headers: { 'x-key': 'secret', authorization: basic } },
    ])
    t.match(second.requests, [{ method: 'POST', url: '/elsewhere' }])
    t.same(tagsOf(second), ['v1'])
    t.equal(second.requests[0]?.headers['x-key'], undefined)
    t.equal(second.requests[0]?.headers.authorization, undefined)
  },
)

t.test('who is redirected without end is not followed for ever', async t => {
  const receiver = await startReceiver(t)
  receiver.answer = () => [308, { location: '/again' }]
  const hook = await start(t, receiver.url, { clock: new ManualClock(), endpoint: { threshold: 1 } })

  hook.publish('v1')
  await until(() => hook.log.some(({ msg }) => String(msg).startsWith('retryingsink')))

  t.equal(receiver.requests.length, 11)
})

t.test('what could not be delivered is delivered after the next start, each once and in order', async t => {
  const directory = t.testdir({})
  const receiver = await startReceiver(t)
  receiver.answer = ({ body }) => (body.includes('"t5"') ? 500 : 200)
  const before = await start(t, receiver.url, { directory })

  before.publish(...names(40))
  await until(() => receiver.requests.length > 6)
  await before.close(5000)
  receiver.requests.splice(0)
  receiver.answer = () => 200
  const after = await start(t, receiver.url, { directory })
  after.publish('new')
  await until(() => receiver.requests.length === 36)

  t.same(tagsOf(receiver), [...names(40).slice(5), 'new'])
})

t.test('close() does not wait for an endpoint that swallows everything', async t => {
  const receiver = await startReceiver(t)
  receiver.answer = () => undefined
  const hook = await start(t, receiver.url, { directory: t.testdir({}), endpoint: { timeout: '60s' } })
  hook.publish('v1')
  await until(() => receiver.requests.length === 1)

  const beganMs = Date.now()
  await hook.close(100)

  t.ok(Date.now() - beganMs < 5000)
})

t.test('close() delivers what waits, where that goes well', async t => {
  const receiver = await startReceiver(t)
  const hook = await start(t, receiver.url)

  hook.publish(...names(50))
  await hook.close(10_000)

  t.equal(receiver.requests.length, 50)
})

for (const isOnDisk of [true, false]) {
  t.test(`of too many events the oldest give way ${isOnDisk ? 'on disk' : 'in memory'}`, async t => {
    const receiver = await startReceiver(t)
    const clock = new ManualClock()
    receiver.answer = () => 503
    const directory = isOnDisk ? t.testdir({}) : undefined
    const hook = await start(t, receiver.url, { clock, directory, maxevents: 20, endpoint: { threshold: 1 } })
    hook.publish('first')
    await clock.slept()
    await until(() => receiver.requests.length === 1)

    const all = names(500)
    for (const tag of all) {
      hook.publish(tag)
      if (isOnDisk) await new Promise(setImmediate)
    }
    await until(
      async () => (await hook.metric('entrepot_notifications_dropped_total{endpoint="hook"}')) === '481',
    )
    if (directory !== undefined) {
      const files = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })
      await until(() => fs.readdirSync(directory, { recursive: true }).length < 20)
      t.ok(files.length > 0)
    }
    receiver.requests.splice(0)
    receiver.answer = () => 200
    await until(() => (clock.advance(1000), receiver.requests.length === 20))

    t.same(tagsOf(receiver), ['first', ...all.slice(-19)])
    t.equal(
      hook.log.filter(({ msg }) => msg === 'too many notifications wait, dropping the oldest').length,
      1,
    )
  })
}

t.test('where the disk takes nothing events wait in memory, and get there later', async t => {
  const directory = t.testdir({})
  const receiver = await startReceiver(t)
  receiver.answer = () => 500
  const clock = new ManualClock()
  const hook = await start(t, receiver.url, { directory, clock, endpoint: { threshold: 1, backoff: '1s' } })
  const [own = ''] = fs.readdirSync(directory)
  fs.writeFileSync(path.join(directory, own, 'hook'), 'in the way')

  hook.publish('v1', 'v2')
  await until(() => receiver.requests.length === 1)
  fs.rmSync(path.join(directory, own, 'hook'))
  receiver.answer = () => 200
  hook.publish('v3')
  await until(() => (clock.advance(1000), receiver.requests.length === 4))

  t.same(tagsOf(receiver), ['v1', 'v1', 'v2', 'v3'])
  t.ok(hook.log.some(({ msg }) => String(msg).startsWith('cannot write notifications to disk')))
  await until(() => (clock.advance(1000), true))
})

t.test('without a directory what is not delivered is lost, and that is said', async t => {
  const receiver = await startReceiver(t)
  receiver.answer = () => 500
  const hook = await start(t, receiver.url)
  hook.publish('v1', 'v2')
  await until(() => receiver.requests.length > 0)

  await hook.close()

  t.match(hook.log.at(-1), { level: 'error', events: 2, endpoint: 'hook' })
})
