import t, { type Test } from 'tap'
import type { AccessController } from '../../../lib/auth/access-controller.ts'
import { openSocket, pushBlob, sha256, startApp, type AppOptions } from '../../support/http-client.ts'
import { until } from '../../support/until.ts'

async function startLogged(t: Test, format: 'combined' | 'json', options: AppOptions = {}) {
  const lines: string[] = []
  const app = await startApp(t, { ...options, accessLog: { format, write: line => void lines.push(line) } })
  return { ...app, lines }
}

const combined =
  /^(\S+) - (\S+) \[(\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"\n$/

const principal = (name: string): AccessController => ({ authorize: async () => ({ principal: name }) })

t.test('accessLog() writes one line per request in the Combined Log Format', async t => {
  const { url, lines } = await startLogged(t, 'combined')

  const headers = { 'User-Agent': 'curl/7.88.1' }
  await (await fetch(`${url}/v2/`, { headers })).text()
  await (
    await fetch(`${url}/v2/`, { method: 'HEAD', headers: { ...headers, Referer: 'https://a:b@h/?token=x' } })
  ).text()

  await until(() => lines.length === 2)
  const [, remote, user, time = '', request, status, bytes, referer, agent] =
    combined.exec(lines[0] ?? '') ?? []
  t.same(
    { remote, user, request, status, bytes, referer, agent },
    {
      remote: '127.0.0.1',
      user: '-',
      request: 'GET /v2/ HTTP/1.1',
      status: '200',
      bytes: '2',
      referer: '',
      agent: 'curl/7.88.1',
    },
  )
  const at = Date.parse(time.replace(':', ' ').replaceAll('/', ' '))
  t.ok(Math.abs(Date.now() - at) < 60_000, 'the time is now, in UTC')
  t.match(lines[1], / "HEAD \/v2\/ HTTP\/1\.1" 200 0 "https:\/\/h\/\?token=\*\*\*" /)
})

t.test('accessLog() censors what grants access', async t => {
  for (const format of ['combined', 'json'] as const) {
    const { url, lines } = await startLogged(t, format)
    await (await fetch(`${url}/v2/foo/blobs/${sha256('y')}?_state=hidden&ns=docker.io`)).text()

    await until(() => lines.length === 1)
    t.notMatch(lines[0], /hidden/)
    t.match(lines[0], /_state=\*\*\*&ns=docker\.io/)
  }
})

t.test('accessLog() lets no client break a line or make up a field', async t => {
  const { port, lines } = await startLogged(t, 'combined', { access: principal('a "b\n c') })
  const client = await openSocket(t, port)
  client.write(
    'GET /v2/?"\\ HTTP/1.1\r\nHost: h\r\nUser-Agent: x" 200 "\\\ty\x85\r\nConnection: close\r\n\r\n',
  )
  await client.ended()

  await until(() => lines.length === 1)
  const [, , user, , request, , , , agent] = combined.exec(lines[0] ?? '') ?? []
  t.equal(user, 'a\\x20\\"b\\x0a\\x20c')
  t.match(request, /^GET \/v2\/\?\S*\\" ?\S* HTTP\/1\.1$|^GET \/v2\/\?\\"\\\\ HTTP\/1\.1$/)
  t.equal(agent, 'x\\" 200 \\"\\\\\\x09y\\x85')
})

t.test('accessLog() writes an object a line, where that is wanted', async t => {
  const { url, lines } = await startLogged(t, 'json', { access: principal('ann') })
  await pushBlob(url, 'foo', 'xyz')
  const headers = { 'User-Agent': 'tester', 'X-Request-Id': 'from-proxy-1' }
  await (await fetch(`${url}/v2/foo/blobs/${sha256('xyz')}`, { headers })).text()

  await until(() => lines.length === 2)
  t.match(JSON.parse(lines[0] ?? ''), { method: 'POST', status: 201, received: 3, user: 'ann' })
  t.match(JSON.parse(lines[1] ?? ''), {
    time: /^\d{4}-\d\d-\d\dT.*Z$/,
    remote: '127.0.0.1',
    user: 'ann',
    method: 'GET',
    uri: `/v2/foo/blobs/${sha256('xyz')}`,
    protocol: 'HTTP/1.1',
    host: url.slice('http://'.length),
    status: 200,
    bytes: 3,
    useragent: 'tester',
    id: 'from-proxy-1',
    ms: Number,
  })
  t.match(lines[1], /^[^\n]+\n$/)
})

t.test(
  'requestLog() logs refusals as information with what was refused, and successes for debugging',
  async t => {
    const { url, logLines } = await startApp(t, { level: 'debug', access: principal('ann') })
    const digest = await pushBlob(url, 'foo', 'x')
    await (await fetch(`${url}/v2/foo/bar/manifests/v1?_state=hidden`)).text()
    await (await fetch(`${url}/v2/foo/blobs/${digest}`, { headers: { Referer: 'https://r' } })).text()

    const completed = () => logLines.filter(({ msg }) => /^response completed/.test(String(msg)))
    await until(() => completed().length === 3)
    t.match(completed()[1], {
      level: 'info',
      msg: 'response completed with error',
      'http.request.method': 'GET',
      'http.request.remoteaddr': '127.0.0.1',
      'http.request.uri': '/v2/foo/bar/manifests/v1?_state=***',
      'http.response.status': 404,
      'http.response.duration': /^\d+ms$/,
      'http.response.contenttype': 'application/json',
      'auth.user.name': 'ann',
      'vars.name': 'foo/bar',
      'vars.reference': 'v1',
      'err.code': 'manifest unknown',
      'err.message': 'manifest unknown',
      'err.detail': 'unknown tag=v1',
    })
    t.match(completed()[2], {
      level: 'debug',
      msg: 'response completed',
      'vars.digest': digest,
      'http.request.referer': 'https://r',
      'http.response.written': 1,
    })
  },
)
