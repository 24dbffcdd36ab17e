import t from 'tap'
import { UnauthorizedError } from '../../../lib/auth/access-controller.ts'
import { codesOf, startApp } from '../../support/http-client.ts'

t.test('GET /v2/ refuses other methods with Allow and an error body', async t => {
  const { url } = await startApp(t)

  const res = await fetch(`${url}/v2/`, { method: 'POST' })

  t.equal(res.status, 405)
  t.equal(res.headers.get('allow'), 'GET, HEAD')
  t.same(await codesOf(res), ['UNSUPPORTED'])
})

t.test('GET /v2/ answers {} as JSON with the version header', async t => {
  const { url } = await startApp(t)

  for (const path of ['/v2/', '/v2']) {
    const res = await fetch(url + path, { redirect: 'error' })

    t.equal(res.status, 200)
    t.equal(res.headers.get('content-type'), 'application/json')
    t.equal(res.headers.get('docker-distribution-api-version'), 'registry/2.0')
    t.equal(await res.text(), '{}')
  }
})

t.test('HEAD /v2/ has the headers of GET and no body', async t => {
  const { url } = await startApp(t)

  const res = await fetch(`${url}/v2/`, { method: 'HEAD' })

  t.equal(res.status, 200)
  t.equal(res.headers.get('content-length'), '2')
  t.equal(await res.text(), '')
})

t.test('GET / is for probes: empty, uncached, and without credentials', async t => {
  const { url } = await startApp(t, {
    access: {
      authorize: (_credentials, wanted) => Promise.reject(new UnauthorizedError('Basic', { wanted })),
    },
  })

  const res = await fetch(`${url}/`)

  t.equal(res.status, 200)
  t.equal(res.headers.get('cache-control'), 'no-cache')
  t.equal(res.headers.get('content-length'), '0')
  t.equal((await fetch(`${url}/v2/`)).status, 401)
})
