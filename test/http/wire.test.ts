// What goes over the connection when clients are odd: broken bodies, pipelining, 100-continue, hostile headers.
import { once } from 'node:events'
import t from 'tap'
import { locationOf, openSocket, pushImage, sha256, startApp, startUpload } from '../support/http-client.ts'
import { until } from '../support/until.ts'

function pathOf(location: string): string {
  return location.replace(/^http:\/\/[^/]+/, '')
}

async function rangeOf(location: string): Promise<string | null> {
  return (await fetch(location)).headers.get('range')
}

t.test('an upload keeps what a broken body brought, and goes on from there', async t => {
  const { url, port, logLines } = await startApp(t)
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)

  client.write(`PATCH ${pathOf(location)} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello`)
  await until(async () => (await rangeOf(location)) === '0-4')
  client.socket.destroy()

  const digest = sha256('hello upload')
  const status = await fetch(location)
  const res = await fetch(`${locationOf(status)}&digest=${digest}`, { method: 'PUT', body: ' upload' })
  t.equal(res.status, 201)
  t.same(logLines, [], 'a client that leaves is no failure of ours')
})

t.test('an upload takes a chunked body as it comes', async t => {
  const { url, port } = await startApp(t)
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)

  client.write(
    `PATCH ${pathOf(location)} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
  )
  await until(async () => (await rangeOf(location)) === '0-4')
  client.write('7\r\n upload\r\n0\r\n\r\n')

  const answer = await client.until(text => text.includes('\r\n\r\n'))
  t.match(answer, /^HTTP\/1\.1 202 /)
  t.match(answer, /\r\nRange: 0-11\r\n/)
})

t.test('a malformed chunk ends the connection and nothing else', async t => {
  const { url, port } = await startApp(t)
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)

  client.write(
    `PATCH ${pathOf(location)} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n`,
  )

  await client.ended()
  t.equal((await fetch(location)).status, 204)
})

t.test('100-continue is answered before the body is sent', async t => {
  const { url, port } = await startApp(t)
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)

  client.write(
    `PUT ${pathOf(location)}&digest=${sha256('hello')} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
  )
  t.equal(await client.until(text => text.includes('\r\n\r\n')), 'HTTP/1.1 100 Continue\r\n\r\n')
  client.write('hello')

  t.match(await client.until(text => text.includes('201')), /HTTP\/1\.1 201 Created\r\n/)
})

t.test('a refused request with a small body leaves the connection in step', async t => {
  const { port } = await startApp(t)
  const client = await openSocket(t, port)
  const body = 'GET /v2/evil HTTP/1.1\r\n\r\n'

  client.write(
    `PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  client.write('GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n')

  const text = await client.until(received => received.endsWith('{}'))
  t.same(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 404', 'HTTP/1.1 200'])
})

t.test('a refused request with a large or endless body is answered and its connection closed', async t => {
  const { port } = await startApp(t)

  for (const framing of ['Content-Length: 10000000000', 'Transfer-Encoding: chunked']) {
    const client = await openSocket(t, port)
    client.write(`PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`)
    const { text } = await client.ended()
    t.match(text, /^HTTP\/1\.1 404 /)
    t.match(text, /\r\nConnection: close\r\n/)
    t.match(text, /NAME_INVALID/)
  }
})

t.test('nothing of a request becomes a header of its own', async t => {
  const { url, port } = await startApp(t)
  await pushImage(url, 'foo', 'a')
  const injected = '%0d%0aX-Evil:%201%0d%0a'
  const requests = [
    `GET /v2/foo/tags/list?n=1&last=${injected} HTTP/1.1\r\nHost: h`,
    `GET /v2/foo${injected}/tags/list HTTP/1.1\r\nHost: h`,
    `GET /v2/foo/manifests/v1${injected} HTTP/1.1\r\nHost: h`,
    `POST /v2/foo/blobs/uploads/?mount=${injected}&from=${injected} HTTP/1.1\r\nHost: h`,
    `POST /v2/foo/blobs/uploads/ HTTP/1.1\r\nHost: h\r\nX-Forwarded-Host: a%0d%0aX-Evil: 1`,
    `POST /v2/foo/blobs/uploads/ HTTP/1.1\r\nHost: h\r\nForwarded: host="a\\\tX-Evil: 1"`,
    `GET /v2/ HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\tX-Evil: 1`,
    `GET /v2/foo/blobs/${sha256('x')} HTTP/1.1\r\nHost: h\r\nRange: bytes=${injected}`,
  ]
  for (const request of requests) {
    const client = await openSocket(t, port)
    client.write(`${request}\r\nConnection: close\r\n\r\n`)
    const { text } = await client.ended()
    const [head = ''] = text.split('\r\n\r\n')
    t.match(head, /^HTTP\/1\.1 [234]\d\d /, request)
    t.notMatch(head, /^X-Evil/im, request)
  }
})

t.test('HTTP/1.0 without Host gets a relative Location', async t => {
  const { port } = await startApp(t)
  const client = await openSocket(t, port)

  client.write('POST /v2/foo/blobs/uploads/ HTTP/1.0\r\nContent-Length: 0\r\n\r\n')

  t.match((await client.ended()).text, /\r\nLocation: \/v2\/foo\/blobs\/uploads\//)
})

t.test('HEAD has the status and headers of GET, also of refusals', async t => {
  const { url, port } = await startApp(t)
  await pushImage(url, 'foo', 'v1')
  const paths = [
    '/',
    '/v2/',
    '/v2/_catalog',
    '/v2/foo/tags/list',
    '/v2/foo/manifests/v1',
    '/v2/foo/manifests/v2',
    '/x',
  ]

  for (const path of paths) {
    const heads: string[] = []
    for (const method of ['GET', 'HEAD']) {
      const client = await openSocket(t, port)
      client.write(`${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
      const { text } = await client.ended()
      const [head = '', body = ''] = text.split('\r\n\r\n')
      if (method === 'HEAD') t.equal(body, '', path)
      heads.push(head.replace(/\r\nDate: [^\r]+/, ''))
    }
    t.equal(heads[1], heads[0], path)
  }
})

t.test('an absolute request target is understood', async t => {
  const { port } = await startApp(t)
  const client = await openSocket(t, port)

  client.write(
    'GET http://registry.example/v2/ HTTP/1.1\r\nHost: registry.example\r\nConnection: close\r\n\r\n',
  )

  t.match((await client.ended()).text, /^HTTP\/1\.1 200 /)
})

t.test('a client that says it is done before its body is complete ends its request', async t => {
  const { url, port } = await startApp(t)
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)

  client.write(`PATCH ${pathOf(location)} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhello`)
  await until(async () => (await rangeOf(location)) === '0-4')
  client.socket.end()
  if (!client.socket.destroyed) await once(client.socket, 'close')

  t.equal(await rangeOf(location), '0-4')
})
