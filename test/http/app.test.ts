import t from 'tap'
import { UnauthorizedError, type Access, type AccessController } from '../../lib/auth/access-controller.ts'
import { RegistryError } from '../../lib/oci/errors.ts'
import { StorageError } from '../../lib/storage/driver/driver.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import type { Registry } from '../../lib/registry/registry.ts'
import { codesOf, pushImage, sha256, startApp, type ErrorBody } from '../support/http-client.ts'

/** Everything that reads a manifest fails with `err`. */
function failing(err: unknown): (local: Registry) => Registry {
  return local => ({
    ...local,
    repository: name => {
      const repository = local.repository(name)
      const fail = () => Promise.reject(err)
      return { ...repository, manifests: { ...repository.manifests, get: fail, stat: fail } }
    },
  })
}

t.test('createApp() tells nothing of a failure of its own, and logs it with its stack', async t => {
  for (const err of [
    new StorageError('disk /secret/path is broken', '/secret/path'),
    new TypeError('a bug'),
  ]) {
    const { url, logLines } = await startApp(t, { wrap: failing(err) })

    const res = await fetch(`${url}/v2/foo/manifests/v1`)
    const head = await fetch(`${url}/v2/foo/manifests/v1`, { method: 'HEAD' })

    t.equal(res.status, 500)
    t.equal(await res.text(), '{"errors":[{"code":"UNKNOWN","message":"unknown error"}]}\n')
    t.equal(head.status, 500)
    t.equal(head.headers.get('content-length'), res.headers.get('content-length'))
    t.match(logLines[0], { level: 'error', err: { message: err.message, stack: /at / } })
    t.equal(typeof logLines[0]?.['http.request.id'], 'string')
  }
})

t.test('createApp() answers 503 with Retry-After for an upstream that asks for patience', async t => {
  const err = new UpstreamError('limited', 'hub.example', 'Cannot open', { status: 429, retryAfterMs: 1500 })
  const { url } = await startApp(t, { wrap: failing(err) })

  const res = await fetch(`${url}/v2/foo/manifests/v1`)

  t.equal(res.status, 503)
  t.equal(res.headers.get('retry-after'), '2')
  t.same(await codesOf(res), ['UNAVAILABLE'])
})

t.test('createApp() answers unknown paths with an error body', async t => {
  const { url } = await startApp(t)

  for (const [path, status, code] of [
    ['/nowhere', 404, 'NAME_UNKNOWN'],
    ['/v2/UPPER/tags/list', 404, 'NAME_INVALID'],
    ['/v2/%zz/tags/list', 400, 'NAME_INVALID'],
  ] as const) {
    const res = await fetch(url + path)
    t.equal(res.status, status, path)
    t.equal(res.headers.get('content-type'), 'application/json')
    t.equal(res.headers.get('docker-distribution-api-version'), 'registry/2.0')
    t.same(await codesOf(res), [code])
  }
})

t.test('createApp() sends configured headers with every answer', async t => {
  const headers = { 'X-Content-Type-Options': ['nosniff'], 'X-Two': ['a', 'b'] }
  const { url } = await startApp(t, { settings: { headers } })

  for (const path of ['/v2/', '/nowhere']) {
    const res = await fetch(url + path)
    t.equal(res.headers.get('x-content-type-options'), 'nosniff')
    t.equal(res.headers.get('x-two'), 'a, b')
  }
})

t.test(
  'createApp() answers 401 with the challenge and what was wanted, and 403 where that is denied',
  async t => {
    const wants: (readonly Access[])[] = []
    const access: AccessController = {
      authorize(credentials, wanted) {
        wants.push(wanted)
        if (credentials.authorization === undefined) {
          return Promise.reject(new UnauthorizedError('Bearer realm="https://auth.example"', { wanted }))
        }
        return Promise.reject(new RegistryError('DENIED', 'Cannot do that'))
      },
    }
    const { url } = await startApp(t, { access })

    const res = await fetch(`${url}/v2/foo/bar/manifests/v1`)
    const base = await fetch(`${url}/v2/`)
    const denied = await fetch(`${url}/v2/foo/manifests/v1`, { headers: { Authorization: 'Basic eDp5' } })

    t.equal(res.status, 401)
    t.equal(res.headers.get('www-authenticate'), 'Bearer realm="https://auth.example"')
    t.equal(res.headers.get('docker-distribution-api-version'), 'registry/2.0')
    const { errors } = (await res.json()) as ErrorBody
    t.same(errors, [
      {
        code: 'UNAUTHORIZED',
        message: 'authentication required',
        detail: [{ Type: 'repository', Class: '', Name: 'foo/bar', Action: 'pull' }],
      },
    ])
    t.same(((await base.json()) as ErrorBody).errors[0]?.detail, null)
    t.equal(denied.status, 403)
    t.same(await codesOf(denied), ['DENIED'])
  },
)

t.test('createApp() asks for the access that each endpoint needs', async t => {
  const wants: string[] = []
  const { url } = await startApp(t, {
    access: {
      authorize(_credentials, wanted) {
        wants.push(wanted.map(({ type, name, action }) => `${type}:${name}:${action}`).join(' '))
        return Promise.resolve({ principal: 'somebody' })
      },
    },
  })
  const digest = sha256('x')
  const session = '00000000-0000-4000-8000-000000000000'
  const table: readonly (readonly [request: string, wanted: string | undefined])[] = [
    ['GET /v2/', ''],
    ['GET /v2/_catalog', 'registry:catalog:*'],
    ['GET /v2/foo/tags/list', 'repository:foo:pull'],
    ['HEAD /v2/foo/manifests/v1', 'repository:foo:pull'],
    ['PUT /v2/foo/manifests/v1', 'repository:foo:pull repository:foo:push'],
    ['DELETE /v2/foo/manifests/v1', 'repository:foo:delete'],
    [`GET /v2/foo/blobs/${digest}`, 'repository:foo:pull'],
    [`DELETE /v2/foo/blobs/${digest}`, 'repository:foo:delete'],
    ['POST /v2/foo/blobs/uploads/', 'repository:foo:pull repository:foo:push'],
    [
      `POST /v2/foo/blobs/uploads/?mount=${digest}&from=bar/b`,
      'repository:foo:pull repository:foo:push repository:bar/b:pull',
    ],
    [`GET /v2/foo/blobs/uploads/${session}`, 'repository:foo:pull'],
    [`PATCH /v2/foo/blobs/uploads/${session}`, 'repository:foo:pull repository:foo:push'],
    [`PUT /v2/foo/blobs/uploads/${session}`, 'repository:foo:pull repository:foo:push'],
    [`DELETE /v2/foo/blobs/uploads/${session}`, 'repository:foo:delete'],
    ['GET /', undefined],
    ['GET /v2/UPPER/tags/list', undefined],
  ]
  for (const [request, wanted] of table) {
    const [method = '', path = ''] = request.split(' ')
    wants.length = 0
    await (await fetch(url + path, { method })).arrayBuffer()
    t.same(wants.slice(0, 1), wanted === undefined ? [] : [wanted], request)
    // A mount asks once more, for the other repository alone: being refused there is no reason to refuse the upload.
    t.same(wants.slice(1), path.includes('&from=') ? ['repository:bar/b:pull'] : [], request)
  }
})

t.test('createApp() counts requests by endpoint, and bytes of their bodies', async t => {
  const { url, metrics } = await startApp(t)
  const { manifest } = await pushImage(url, 'foo', 'v1')
  await (await fetch(`${url}/v2/foo/manifests/v1`)).text()
  await (await fetch(`${url}/v2/foo/manifests/v2`, { method: 'HEAD' })).text()
  await (await fetch(`${url}/nowhere`)).text()

  const text = await metrics.registry.metrics()

  const values = (pattern: RegExp) =>
    text
      .split('\n')
      .filter(line => pattern.test(line))
      .map(line => Number(line.split(' ').at(-1)))
  t.same(values(/^registry_http_requests_total\{handler="manifest",code="200",method="get"\}/), [1])
  t.same(values(/^registry_http_requests_total\{handler="manifest",code="404",method="head"\}/), [1])
  t.same(values(/^registry_http_requests_total\{handler="unknown",code="404",method="get"\}/), [1])
  t.same(values(/^registry_http_request_duration_seconds_count\{handler="manifest",method="get"\}/), [1])
  t.same(values(/^entrepot_http_sent_bytes_total\{handler="manifest"\}/), [manifest.length])
  t.same(values(/^entrepot_http_received_bytes_total\{handler="manifest"\}/), [manifest.length])
  t.ok(values(/^registry_http_in_flight_requests\{/).every(value => value === 0))
  t.notMatch(text, /foo|v1"/)
})
