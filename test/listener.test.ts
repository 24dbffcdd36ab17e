import http, { type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { listen, type Handle } from '../lib/listener.ts'
import { openSocket, pushBlob, sha256, startUpload } from './support/http-client.ts'
import { startMemoryServer } from './support/server.ts'

async function start(t: Test, handle: Handle) {
  const listener = await listen(handle, { addr: '127.0.0.1:0', net: 'tcp', tls: undefined })
  t.teardown(() => listener.close())
  return Number(new URL(listener.url).port)
}

const silent: Handle = (_req, res) => {
  res.end('seen')
  return Promise.resolve()
}

t.test('listen() answers CONNECT with an error body', async t => {
  const port = await start(t, silent)
  const client = await openSocket(t, port)

  client.write('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n')

  const { text } = await client.ended()
  t.match(text, /^HTTP\/1\.1 405 /)
  t.match(text, /\r\nAllow: \r\n/)
  t.match(text, /\{"errors":\[\{"code":"UNSUPPORTED"/)
})

t.test('listen() leaves a missing Host and a strange Expect to the application', async t => {
  const port = await start(t, silent)

  for (const request of [
    'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: x\r\n\r\n',
  ]) {
    const client = await openSocket(t, port)
    client.write(request)
    t.match((await client.ended()).text, /^HTTP\/1\.1 200 [^]*seen$/)
  }
})

t.test('listen() asks for a body that is held back when it is wanted', async t => {
  const { url, port, logLines } = await startMemoryServer(t)
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)

  client.write(
    `PUT ${location.slice(url.length)}&digest=${sha256('hello')} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
  )
  t.equal(await client.until(text => text.includes('\r\n\r\n')), 'HTTP/1.1 100 Continue\r\n\r\n')
  client.write('hello')

  t.match(await client.until(text => text.includes('201')), /HTTP\/1\.1 201 Created\r\n/)
  t.same(logLines, [])
})

t.test('listen() does not ask for the body of a push that is refused, and ends its connection', async t => {
  const { port } = await startMemoryServer(t)
  for (const [request, status] of [
    ['PUT /v2/foo/manifests/v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000', 413],
    ['PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5', 404],
  ] as const) {
    const client = await openSocket(t, port)

    client.write(`${request}\r\nExpect: 100-continue\r\n\r\n`)

    const { text } = await client.ended()
    t.ok(text.startsWith(`HTTP/1.1 ${status} `), text.slice(0, 40))
    t.match(text, /\r\nConnection: close\r\n/)
  }
})

t.test('a manifest that is announced too large is refused before any of it is read', async t => {
  const { port } = await startMemoryServer(t)
  const client = await openSocket(t, port)

  client.write('PUT /v2/foo/manifests/v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4194305\r\n\r\n')

  const { text } = await client.ended()
  t.match(text, /^HTTP\/1\.1 413 /)
  t.match(text, /\{"errors":\[\{"code":"MANIFEST_INVALID"/)
})

t.test('OPTIONS tells what may be asked, and asks nothing of the registry', async t => {
  const { url } = await startMemoryServer(t)
  const digest = await pushBlob(url, 'foo', 'x')
  const table: readonly (readonly [path: string, allow: string])[] = [
    ['/', 'GET, HEAD'],
    ['/v2/', 'GET, HEAD'],
    [`/v2/foo/blobs/${digest}`, 'DELETE, GET, HEAD'],
    ['/v2/foo/manifests/absent', 'DELETE, GET, HEAD, PUT'],
    ['/v2/foo/blobs/uploads/', 'POST'],
  ]
  for (const [path, allow] of table) {
    // fetch() has no way to send OPTIONS without a body's headers.
    const res = await new Promise<IncomingMessage>((resolve, reject) => {
      http
        .request(url + path, { method: 'OPTIONS' }, resolve)
        .on('error', reject)
        .end()
    })
    res.resume()

    t.equal(res.statusCode, 200, path)
    t.equal(res.headers.allow, allow, path)
    t.equal(res.headers['content-length'], '0')
  }
})

t.test(
  'listen() answers 400 to a body that breaks the rules, as long as nothing else was answered',
  async t => {
    const { url, port } = await startMemoryServer(t)
    const location = (await startUpload(url, 'foo')).slice(url.length)
    const table = [
      `PATCH ${location} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n`,
      `PATCH ${location} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\nhello`,
    ]
    for (const request of table) {
      const client = await openSocket(t, port)

      client.write(request)

      const { text } = await client.ended()
      t.match(text, /^HTTP\/1\.1 400 [^]*\{"errors":\[\{"code":"UNSUPPORTED"/, request)
    }
    t.equal((await fetch(url + location)).status, 204, 'the session is still there')
  },
)

t.test('listen() cuts an answer that has begun short when rubbish follows', async t => {
  const port = await start(t, (_req, res) => {
    res.writeHead(200, { 'Content-Length': 100 })
    res.write('some')
    return Promise.resolve()
  })
  const client = await openSocket(t, port)

  client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await client.until(text => text.endsWith('some'))
  client.write('rubbish\r\n\r\n')

  t.match((await client.ended()).text, /^HTTP\/1\.1 200 [^]*some$/)
})

t.test('listen() answers the last request of a connection whatever comes after it', async t => {
  const { port } = await startMemoryServer(t)
  const client = await openSocket(t, port)

  client.write('GET /v2/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nrubbish\r\n\r\n')

  t.match((await client.ended()).text, /^HTTP\/1\.1 200 [^]*\{\}$/)
})
