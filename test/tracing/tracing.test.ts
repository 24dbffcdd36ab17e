import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { requests, storageCalls } from '../../lib/tracing/channels.ts'
import { startTracing } from '../../lib/tracing/tracing.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { pushImage, startApp } from '../support/http-client.ts'
import { startMirrorServer } from '../support/server-with.ts'
import { until } from '../support/until.ts'

async function startCollector(t: Test, status = 200) {
  const posts: {
    readonly path: string | undefined
    readonly type: string | undefined
    readonly body: Buffer
  }[] = []
  const server = http.createServer((req, res) => {
    void buffer(req).then(body => {
      posts.push({ path: req.url, type: req.headers['content-type'], body })
      res.writeHead(status).end()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, posts }
}

async function start(env: Readonly<Record<string, string>>) {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const logger = createLogger({ level: 'info', formatter: 'json', fields: {}, write })
  const deps = { env, version: 'test', instanceId: 'me', clock: systemClock, logger }
  return { tracing: await startTracing(deps), lines }
}

t.test('startTracing() does nothing unless the environment asks for traces', async t => {
  const { url } = await startCollector(t)
  for (const env of [
    {},
    { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: url },
    { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: url },
  ]) {
    t.same(await start(env), { tracing: undefined, lines: [] })
  }
  t.notOk(requests.hasSubscribers)
  t.notOk(storageCalls.hasSubscribers)
})

t.test(
  'startTracing() sends spans of requests and of the store by OTLP, in the trace of whoever asked',
  async t => {
    const { url: endpoint, posts } = await startCollector(t)
    const { tracing } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/`,
      OTEL_SERVICE_NAME: 'our-mirror',
    })
    const { url } = await startApp(t, { driver: 'filesystem' })
    const traceId = '0af7651916cd43dd8448eb211c80319c'

    await pushImage(url, 'foo', 'v1')
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` }
    await (await fetch(`${url}/v2/foo/manifests/v1?token=s3cret`, { headers })).text()
    await tracing?.close(60_000)

    t.ok(posts.length > 0)
    t.match(posts[0], { path: '/v1/traces', type: 'application/x-protobuf' })
    const sent = Buffer.concat(posts.map(({ body }) => body))
    for (const text of [
      'our-mirror',
      'GET manifest',
      'PUT manifest',
      'filesystem PutContent',
      'service.instance.id',
    ]) {
      t.ok(sent.includes(text), text)
    }
    t.notOk(sent.includes('s3cret'))
    const trace = Buffer.from(traceId, 'hex')
    t.ok(sent.indexOf(trace, sent.indexOf(trace) + 1) !== -1, 'the request and what it asked the store for')
    t.notOk(requests.hasSubscribers, 'nobody listens any more')
  },
)

t.test('startTracing() has upstreams told of the trace, and traces fills', async t => {
  const { url: endpoint, posts } = await startCollector(t)
  const { tracing } = await start({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint}/v1/traces` })
  const upstream = await startFakeUpstream(t, { cdn: true })
  const digest = upstream.addBlob('team/app', Buffer.from('x'))
  const { url, metric } = await startMirrorServer(t, `{remoteurl: "${String(upstream.url)}"}`)

  await (await fetch(`${url}/v2/team/app/blobs/${digest}`)).text()
  await until(async () => (await metric('entrepot_fills_total')) !== undefined)
  await tracing?.close(60_000)

  const asked = upstream.requests.find(({ path }) => path.endsWith(digest))
  const [, traceId = ''] =
    /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(String(asked?.headers['traceparent'])) ?? []
  const sent = Buffer.concat(posts.map(({ body }) => body))
  for (const text of ['fill', 'registry.fill.outcome', 'stored', 'registry.upstream'])
    t.ok(sent.includes(text), text)
  t.ok(sent.includes(Buffer.from(traceId, 'hex')))
  t.ok(upstream.cdnRequests.length > 0)
  t.notOk(
    upstream.cdnRequests.some(({ headers }) => 'traceparent' in headers),
    'where it redirects to is not told',
  )
})

t.test('startTracing() writes spans to stdout, where that is wanted', async t => {
  const shown: unknown[] = []
  t.intercept(console, 'dir', { value: (span: unknown) => void shown.push(span) })
  const { tracing } = await start({ OTEL_TRACES_EXPORTER: 'console' })
  const { url } = await startApp(t)

  await (await fetch(`${url}/v2/`, { headers: { traceparent: 'nonsense' } })).text()
  await (await fetch(`${url}/v2/foo/manifests/none`)).text()
  await tracing?.close(60_000)

  t.match(shown, [
    { name: 'GET base', attributes: { 'http.response.status_code': 200 }, parentSpanContext: undefined },
    { name: 'inmemory GetContent', status: { code: 2 } },
    { name: 'GET manifest', attributes: { 'http.response.status_code': 404 } },
  ])
})

t.test('startTracing() says once that traces cannot be sent, and what it does not do', async t => {
  const { url: endpoint } = await startCollector(t, 400)
  const { tracing, lines } = await start({
    OTEL_TRACES_EXPORTER: 'otlp,zipkin',
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  })
  const { url } = await startApp(t)
  await (await fetch(`${url}/v2/`)).text()
  await tracing?.close(60_000)

  t.match(
    lines.map(line => JSON.parse(line) as unknown),
    [
      { level: 'warning', msg: /found "zipkin"/ },
      { level: 'warning', msg: /found "grpc"/ },
      { level: 'info', msg: 'sending traces to OTLP' },
      { level: 'warning', msg: 'cannot send traces' },
    ],
  )
  t.equal(lines.length, 4)
})
