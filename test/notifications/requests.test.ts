// What requests to a running server cause, and what they do not.
import { hostname } from 'node:os'
import t, { type Test } from 'tap'
import { loadConfig } from '../../lib/config/load.ts'
import { createLogger } from '../../lib/log.ts'
import { startServer } from '../../lib/server.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { driverSections } from '../support/driver-sections.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { manifestOf, pushBlob, sha256 } from '../support/http-client.ts'
import { addImage } from '../support/images.ts'
import { startMirrorServer } from '../support/server-with.ts'
import { until } from '../support/until.ts'
import { startReceiver, type Receiver } from '../support/webhook-receiver.ts'

async function start(t: Test, receiver: Receiver, events = '{}') {
  const text = `
version: 0.1
storage: {inmemory: {}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0", relativeurls: true}
notifications: {events: ${events}, endpoints: [{name: hook, url: "${receiver.url}"}]}
`
  const server = await startServer({
    config: loadConfig({ text, env: {}, drivers: driverSections }).config,
    logger: createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} }),
    version: 'test',
  })
  t.teardown(() => server.stop())
  const { url } = server.addresses
  return {
    url,
    ask: (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
      fetch(`${url}/v2/${path}`, { method, headers, ...(body !== undefined && { body }) }),
    /** The next `count` events, what they are about alone. */
    async next(count: number): Promise<readonly Record<string, unknown>[]> {
      await until(() => receiver.requests.length >= count)
      const found = receiver.events.map(({ action, target }) => ({ action, ...target }))
      receiver.requests.splice(0)
      return found
    },
  }
}

const octets = mediaTypes.octetStream

t.test(
  'pushes, pulls, mounts and deletions of blobs are events; what only asks or fails is none',
  async t => {
    const receiver = await startReceiver(t)
    const { url, ask, next } = await start(t, receiver)
    const digest = sha256('content')
    const target = { mediaType: octets, digest, size: 7, length: 7, repository: 'team/app' }
    const at = `${url}/v2/team/app/blobs/${digest}`

    const path = `team/app/blobs/${digest}`
    await ask('GET', path)
    await pushBlob(url, 'team/app', 'content')
    t.same(await next(1), [{ action: 'push', ...target, url: at }])

    const begun = await ask('POST', 'team/app/blobs/uploads/')
    const location = new URL(begun.headers.get('location') ?? '', url)
    location.searchParams.set('digest', digest)
    await fetch(location, { method: 'PUT', body: 'content' })
    t.match(await next(1), [{ action: 'push', digest }])

    await ask('POST', `team/web/blobs/uploads/?mount=${digest}&from=team/app`)
    const there = `${url}/v2/team/web/blobs/${digest}`
    const mounted = { ...target, repository: 'team/web', fromRepository: 'team/app', url: there }
    t.same(await next(1), [{ action: 'mount', ...mounted }])

    const statuses: number[] = []
    for (const [method, headers] of [
      ['HEAD', {}],
      ['GET', {}],
      ['GET', { 'if-none-match': `"${digest}"` }],
      ['GET', { range: 'bytes=90-' }],
    ] as const) {
      const res = await ask(method, path, headers)
      await res.arrayBuffer()
      statuses.push(res.status)
    }
    t.same(statuses, [200, 200, 304, 416])
    t.same(await next(4), Array(4).fill({ action: 'pull', ...target, url: at }))

    await ask('GET', 'team/app/tags/list')
    await ask('DELETE', path)
    await ask('DELETE', path)
    await ask('POST', 'team/app/blobs/uploads/')
    await pushBlob(url, 'last', '')
    t.match(await next(2), [
      { action: 'delete', mediaType: '', digest, size: 0, repository: 'team/app' },
      { action: 'push', repository: 'last', size: 0 },
    ])
  },
)

t.test(
  'manifests are events with their tags, and a deletion is one for each tag that goes along',
  async t => {
    const receiver = await startReceiver(t)
    const { url, ask, next } = await start(t, receiver)
    const config = await pushBlob(url, 'app', '{}')
    await next(1)
    const manifest = manifestOf(config, 2)
    const digest = sha256(manifest)
    const put = (path: string) => ask('PUT', path, { 'content-type': mediaTypes.ociManifest }, manifest)
    const target = {
      mediaType: mediaTypes.ociManifest,
      digest,
      size: manifest.length,
      length: manifest.length,
      repository: 'app',
      url: `${url}/v2/app/manifests/${digest}`,
    }

    await put('app/manifests/v1')
    await put(`app/manifests/${digest}`)
    await put(`app/manifests/${digest}?tag=v2&tag=v3`)
    t.same(await next(4), [
      { action: 'push', ...target, tag: 'v1' },
      { action: 'push', ...target },
      { action: 'push', ...target, tag: 'v2' },
      { action: 'push', ...target, tag: 'v3' },
    ])

    await ask('HEAD', 'app/manifests/v1')
    const known = await ask('GET', 'app/manifests/v1', { 'if-none-match': `"${digest}"` })
    t.equal(known.status, 304)
    await ask('GET', `app/manifests/${digest}`)
    await ask('GET', 'app/manifests/unknown')
    t.same(await next(2), [
      { action: 'pull', ...target, tag: 'v1' },
      { action: 'pull', ...target },
    ])

    const empty = { mediaType: '', digest: '', size: 0, repository: 'app' }
    await ask('DELETE', 'app/manifests/v2')
    await ask('DELETE', `app/manifests/${digest}`)
    t.same(await next(4), [
      { action: 'delete', ...empty, tag: 'v2' },
      { action: 'delete', ...empty, digest },
      { action: 'delete', ...empty, tag: 'v1' },
      { action: 'delete', ...empty, tag: 'v3' },
    ])
  },
)

t.test('an event tells of its request, of who made it and of us', async t => {
  const receiver = await startReceiver(t)
  const { url, ask } = await start(t, receiver)
  await pushBlob(url, 'app', 'content')
  const authorization = `Basic ${Buffer.from('alice:word').toString('base64')}`

  const headers = { authorization, 'user-agent': 'docker/1', 'x-request-id': 'r1' }
  await ask('GET', `app/blobs/${sha256('content')}`, headers)
  await until(() => receiver.requests.length === 2)

  const [, event] = receiver.events
  t.match(event?.request, {
    id: 'r1',
    addr: /^127\.0\.0\.1:\d+$/,
    host: new URL(url).host,
    method: 'GET',
    useragent: 'docker/1',
  })
  t.same(event?.actor, { name: 'alice' })
  t.match(event?.source, { addr: `${hostname()}:0`, instanceID: /^[0-9a-f-]{36}$/ })
  t.notMatch(receiver.requests[1]?.body, 'word')
})

t.test('events of manifests list what those refer to, if that is wanted', async t => {
  const receiver = await startReceiver(t)
  const { url, ask, next } = await start(t, receiver, '{includereferences: true}')
  const config = await pushBlob(url, 'app', '{}')
  const layer = await pushBlob(url, 'app', 'layer')
  const manifest = manifestOf(config, 2, [layer, 5])
  await next(2)

  await ask('PUT', 'app/manifests/v1', { 'content-type': mediaTypes.ociManifest }, manifest)
  await ask('GET', 'app/manifests/v1')

  for (const event of await next(2)) {
    t.match(event, {
      references: [
        { digest: config, size: 2 },
        { digest: layer, size: 5 },
      ],
    })
  }
})

t.test('a mirror tells of fills and stale tags, too, if that is wanted', async t => {
  const receiver = await startReceiver(t)
  const upstream = await startFakeUpstream(t)
  const { digest, blobs } = addImage(upstream, 'app', 'v1', [1000])
  const layer = blobs[1] ?? ''
  const more = `notifications: {events: {mirror: true}, endpoints: [{name: hook, url: "${receiver.url}", ignore: {actions: [pull]}}]}`
  const proxy = `{remoteurl: "${upstream.url.href}", cache: {tagttl: 0s}}`
  const server = await startMirrorServer(t, proxy, { more })

  await server.ask(`/v2/app/blobs/${layer}`)
  await server.ask('/v2/app/manifests/v1')
  await until(() => receiver.requests.length === 1)
  upstream.failNext({ status: 503, times: 100 })
  await server.ask('/v2/app/manifests/v1')
  await until(() => receiver.requests.length === 2)

  t.match(receiver.events, [
    { action: 'fill', target: { digest: layer, size: 1000, repository: 'app' }, request: {}, actor: {} },
    { action: 'stale', target: { digest, repository: 'app', tag: 'v1' } },
  ])
})
