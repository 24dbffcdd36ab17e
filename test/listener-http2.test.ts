// HTTP/2 with the real server: what the application relies on must hold for each stream.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import http2, {
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import { listen, type Handle, type ListenDeps } from '../lib/listener.ts'
import { createLogger } from '../lib/log.ts'
import { mediaTypes } from '../lib/oci/media-types.ts'
import { startServer } from '../lib/server.ts'
import { driverSections } from './support/driver-sections.ts'
import { openSocket, pushBlob, sha256 } from './support/http-client.ts'
import { ManualClock } from './support/manual-clock.ts'
import { endStream, frameTypes, openRawHttp2 } from './support/raw-http2.ts'
import { until } from './support/until.ts'

async function startH2c(t: Test, more = '') {
  const root = t.testdir({})
  const storage = `{filesystem: {rootdirectory: "${root}"}, maintenance: {uploadpurging: {enabled: false}}}`
  const text = `{version: 0.1, storage: ${storage}, http: {addr: "127.0.0.1:0", h2c: {enabled: true}${more}}}`
  const log: string[] = []
  const server = await startServer({
    config: loadConfig({ text, env: {}, drivers: driverSections }).config,
    logger: createLogger({
      level: 'info',
      formatter: 'json',
      fields: {},
      write: line => void log.push(line),
    }),
    version: 'test',
  })
  t.teardown(() => server.stop())
  return { ...server, url: server.addresses.url, log }
}

async function start(t: Test, handle: Handle) {
  return (await startListener(t, handle)).url
}

async function startListener(t: Test, handle: Handle, deps: ListenDeps = {}) {
  const h2c = { enabled: true }
  const listener = await listen(handle, { addr: '127.0.0.1:0', net: 'tcp', tls: undefined, h2c }, deps)
  t.teardown(() => listener.close())
  return listener
}

function connect(t: Test, url: string): ClientHttp2Session {
  const session = http2.connect(url)
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  return session
}

async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: Uint8Array | string) {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  const content = await buffer(stream)
  return { status: answer[':status'], headers: answer, content, text: content.toString() }
}

function withResolvers() {
  let resolve: (value: string) => void = () => {}
  const promise = new Promise<string>(done => (resolve = done))
  return { promise, resolve }
}

t.test('HTTP/2 without TLS: push and pull of a large blob, its length announced or not', async t => {
  const { url } = await startH2c(t)
  const session = connect(t, url)
  const content = randomBytes(5 * 1024 * 1024)
  const digest = sha256(content)
  const post = await ask(session, { ':method': 'POST', ':path': '/v2/foo/blobs/uploads/' })
  t.equal(post.status, 202)
  const { location = '' } = post.headers
  t.ok(location.startsWith(`${url}/v2/foo/blobs/uploads/`), location)

  const patch = await ask(session, { ':method': 'PATCH', ':path': location.slice(url.length) }, content)
  t.equal(patch.status, 202, patch.text)
  t.equal(patch.headers.range, `0-${content.length - 1}`)
  const target = `${(patch.headers.location ?? '').slice(url.length)}&digest=${digest}`
  const put = await ask(session, { ':method': 'PUT', ':path': target })
  t.equal(put.status, 201, put.text)

  const paths = [0, 1, 2].map(() => ask(session, { ':path': `/v2/foo/blobs/${digest}` }))
  for (const got of await Promise.all(paths)) {
    t.equal(got.headers['content-length'], String(content.length))
    t.equal(sha256(got.content), digest)
  }
  const head = await ask(session, { ':method': 'HEAD', ':path': `/v2/foo/blobs/${digest}` })
  t.equal(head.headers['content-length'], String(content.length))
})

t.test('HTTP/2: a body in the last request of an upload counts without a length', async t => {
  const { url } = await startH2c(t)
  const session = connect(t, url)
  const { headers } = await ask(session, { ':method': 'POST', ':path': '/v2/foo/blobs/uploads/' })

  const target = `${(headers.location ?? '').slice(url.length)}&digest=${sha256('hello')}`
  const put = await ask(session, { ':method': 'PUT', ':path': target }, 'hello')

  t.equal(put.status, 201, put.text)
})

t.test('listen() tells HTTP/1.1 from HTTP/2 by the first bytes, however they arrive', async t => {
  const { url } = await startH2c(t)
  const port = Number(new URL(url).port)
  const slow = await openSocket(t, port)

  for (const piece of ['P', 'RO', 'PFIND', ' / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n']) {
    slow.write(piece)
    await new Promise(setImmediate)
  }

  t.match((await slow.ended()).text, /^HTTP\/1\.1 (404|405) /)
  t.equal((await fetch(`${url}/v2/`)).status, 200)
  t.equal((await ask(connect(t, url), { ':path': '/v2/' })).status, 200)
})

t.test('listen() speaks no HTTP/2 without TLS unless told to', async t => {
  const listener = await listen(
    (_req, res) => {
      res.end()
      return Promise.resolve()
    },
    { addr: '127.0.0.1:0', net: 'tcp', tls: undefined },
  )
  t.teardown(() => listener.close())
  const session = http2.connect(listener.url)
  t.teardown(() => session.destroy())

  const [err] = (await once(session, 'error')) as [Error]

  t.match(err.message, /Protocol error/)
})

t.test('HTTP/2: an answer that breaks off ends with a reset, never as if it were complete', async t => {
  const url = await start(t, (_req, res) => {
    res.writeHead(200, { 'content-type': 'text/plain' })
    res.write('some', () => res.destroy())
    return Promise.resolve()
  })
  const client = await openRawHttp2(t, url)
  client.begin(1, 'PUT', '/')
  client.data(1, '', endStream)

  const frames = await client.until(1, frameTypes.rstStream)

  t.equal(frames.at(-1)?.payload.readUInt32BE(), http2.constants.NGHTTP2_INTERNAL_ERROR)
  for (const { type, flags } of frames) {
    t.notOk(type !== frameTypes.rstStream && (flags & endStream) !== 0, `frame of type ${type} ends nothing`)
  }
})

t.test('HTTP/2: a body that its client breaks off is an error to whoever reads it', async t => {
  const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants
  for (const end of [NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, 'reset', 'end'] as const) {
    const { promise, resolve } = withResolvers()
    let begin = () => {}
    const begun = new Promise<void>(done => (begin = done))
    const url = await start(t, async (req, res) => {
      begin()
      try {
        resolve(`read ${(await buffer(req)).length} bytes`)
        res.end()
      } catch (err) {
        resolve((err as NodeJS.ErrnoException).code ?? '')
      }
    })
    const client = await openRawHttp2(t, url)
    client.begin(1, 'PUT', '/')
    client.data(1, 'some')
    await begun
    if (end === 'reset') client.socket.resetAndDestroy()
    else if (end === 'end') client.socket.end()
    else client.reset(1, end)

    t.match(await promise, /^(ECONNRESET|ERR_STREAM_PREMATURE_CLOSE)$/, String(end))
  }
})

t.test('HTTP/2: a request that is left does not disturb another of its connection', async t => {
  const { url, log } = await startH2c(t)
  const content = randomBytes(5 * 1024 * 1024)
  const digest = await pushBlob(url, 'foo', content)
  const session = connect(t, url)
  const left = session.request({ ':path': `/v2/foo/blobs/${digest}` })
  left.on('error', () => {})
  await once(left, 'response')
  const other = ask(session, { ':path': `/v2/foo/blobs/${digest}` })

  left.close(http2.constants.NGHTTP2_CANCEL)

  t.equal(sha256((await other).content), digest)
  t.notMatch(log.join(''), /"level":"?(error|50)/)
})

t.test('HTTP/2: a manifest that is broken off changes nothing', async t => {
  const { url } = await startH2c(t)
  const client = await openRawHttp2(t, url)
  client.begin(1, 'PUT', '/v2/foo/manifests/v1', { 'content-type': mediaTypes.ociIndex })
  client.data(1, '{"schemaVersion":2,"manifests":[]}')
  client.reset(1, http2.constants.NGHTTP2_NO_ERROR)

  t.equal((await ask(connect(t, url), { ':path': '/v2/foo/manifests/v1' })).status, 404)
  client.begin(3, 'PUT', '/v2/foo/manifests/v1', { 'content-type': mediaTypes.ociIndex })
  client.data(3, '{"schemaVersion":2,"manifests":[]}', endStream)
  await client.until(3, frameTypes.headers)
  t.equal((await ask(connect(t, url), { ':path': '/v2/foo/manifests/v1' })).status, 200)
})

t.test('HTTP/2: who is refused is told to send no more', async t => {
  const { url } = await startH2c(t)
  const client = await openRawHttp2(t, url)
  client.begin(1, 'PUT', '/v2/foo/manifests/v1', { 'content-length': '5000000' })
  client.data(1, 'some')

  const frames = await client.until(1, frameTypes.rstStream)

  t.equal(frames[0]?.type, frameTypes.headers, 'after the answer')
  t.equal(frames.at(-1)?.payload.readUInt32BE(), http2.constants.NGHTTP2_NO_ERROR)
})

t.test('HTTP/2: a body that is held back is asked for when it is wanted', async t => {
  const { url } = await startH2c(t)
  const session = connect(t, url)
  const { headers } = await ask(session, { ':method': 'POST', ':path': '/v2/foo/blobs/uploads/' })
  const target = `${(headers.location ?? '').slice(url.length)}&digest=${sha256('hello')}`
  const stream = session.request({ ':method': 'PUT', ':path': target, expect: '100-continue' })

  await once(stream, 'continue')
  stream.end('hello')

  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  t.equal(answer[':status'], 201)
})

t.test('HTTP/2: headers that concern connections are left out', async t => {
  const { url } = await startH2c(t, ', headers: {Connection: [close], Keep-Alive: [x], X-Own: [y]}')

  const { status, headers } = await ask(connect(t, url), { ':path': '/v2/' })

  t.equal(status, 200)
  t.equal(headers['x-own'], 'y')
  t.equal(headers['keep-alive'], undefined)
})

t.test(
  'stop() lets a stream of HTTP/2 end, tells its client to go, and refuses what comes later',
  async t => {
    const { url, stop } = await startH2c(t, ', draintimeout: 30s')
    const session = connect(t, url)
    const { headers } = await ask(session, { ':method': 'POST', ':path': '/v2/foo/blobs/uploads/' })
    const idle = connect(t, url)
    await once(idle, 'connect')
    const stream = session.request({
      ':method': 'PATCH',
      ':path': (headers.location ?? '').slice(url.length),
    })
    stream.write('hello')
    await until(async () => {
      const got = await fetch(headers.location ?? '')
      return got.headers.get('range') === '0-4'
    })

    const told = once(session, 'goaway')
    const stopped = stop()
    await told
    await once(idle, 'close')
    stream.end('world')

    const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
    t.equal(answer[':status'], 202)
    t.equal(answer['range'], '0-9')
    stream.resume()
    await stopped
  },
)

t.test('a client that does not hang up after the goodbye is cut off', async t => {
  const clock = new ManualClock()
  const { listener, client } = await sayGoodbye(t, { clock })
  await until(() => clock.sleeping > 0)

  clock.advance(5000)

  await until(() => client.isGone())
  await listener.drain(0, clock)
})

t.test('close() ends the connection of a client that does not hang up', async t => {
  const { listener, client } = await sayGoodbye(t)

  listener.close()

  await until(() => client.isGone())
})

t.test('a client that breaks the rules in the middle of a request, and leaves, is forgotten', async t => {
  const clock = new ManualClock()
  const requests: ServerResponse[] = []
  const handle: Handle = (_req, res) => Promise.resolve(void requests.push(res))
  const { url } = await startListener(t, handle, { clock, http2IdleMs: 20 })
  const client = await openRawHttp2(t, url)
  client.begin(1, 'POST', '/')
  await until(() => requests.length === 1)

  client.data(0, 'what no stream has sent')
  await client.until(0, frameTypes.goaway)
  client.socket.destroy()
  await until(() => clock.sleeping === 1)
  clock.advance(60_000)

  await until(() => requests[0]?.destroyed === true)
})

t.test('a client that is silent in the middle of a request, and there, is waited for', async t => {
  const clock = new ManualClock()
  const requests: ServerResponse[] = []
  const handle: Handle = (_req, res) => Promise.resolve(void requests.push(res))
  const { url } = await startListener(t, handle, { clock, http2IdleMs: 20 })
  const session = connect(t, url)
  const answer = ask(session, { ':path': '/' })
  await until(() => requests.length === 1)
  const pings = new Set<unknown>()
  session.on('ping', (payload: Buffer) => pings.add(payload.toString('hex')))

  await until(() => pings.size >= 2 && clock.sleeping === 0)
  clock.advance(60_000)
  requests[0]?.end('late')

  t.equal((await answer).text, 'late')
})

/** A connection that we have closed our half of, and whose client keeps the other open. */
async function sayGoodbye(t: Test, deps: ListenDeps = {}) {
  const listener = await startListener(t, () => Promise.resolve(), deps)
  const { socket } = await openRawHttp2(t, listener.url, { allowHalfOpen: true })
  await once(socket, 'data')
  const ended = once(socket, 'end')
  void listener.drain(60_000, new ManualClock())
  await ended
  let failure: Error | undefined
  socket.on('error', err => (failure = err))
  return {
    listener,
    client: {
      /** What is sent to a connection that is gone is answered with a reset. */
      isGone() {
        socket.write('x')
        return failure !== undefined
      },
    },
  }
}
