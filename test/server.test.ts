import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { Config } from '../lib/config/config.ts'
import { loadConfig } from '../lib/config/load.ts'
import { createLogger } from '../lib/log.ts'
import { startServer } from '../lib/server.ts'
import { driverSections } from './support/driver-sections.ts'
import { openSocket, pushBlob, startUpload } from './support/http-client.ts'
import { until } from './support/until.ts'

/** The configuration of a server in memory; `httpSection` is YAML in braces. */
function configOf(httpSection: string, driver = 'inmemory: {}'): Config {
  // Work in the background would say so between the lines that are looked at.
  const storage = `{${driver}, maintenance: {uploadpurging: {enabled: false}}}`
  const text = `{version: 0.1, storage: ${storage}, http: ${httpSection}}`
  return loadConfig({ text, env: {}, drivers: driverSections }).config
}

async function start(t: Test, config: Config) {
  const messages: string[] = []
  const logger = createLogger({
    level: 'info',
    formatter: 'json',
    fields: {},
    write: line => messages.push((JSON.parse(line) as { readonly msg: string }).msg),
  })
  const server = await startServer({ config, logger, version: 'test' })
  t.teardown(() => server.stop())
  const { url } = server.addresses
  return { ...server, url, port: Number(new URL(url).port || 0), messages }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

t.test('startServer() rejects when the address is taken, and leaves nothing open', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const debugPort = await freePort()

  await t.rejects(
    start(t, configOf(`{addr: "127.0.0.1:${port}", debug: {addr: "127.0.0.1:${debugPort}"}}`)),
    { message: `Cannot listen on "127.0.0.1:${port}": the address is in use` },
  )

  const again = createServer().listen(debugPort, '127.0.0.1')
  t.teardown(() => again.close())
  await once(again, 'listening')
})

t.test('startServer() rejects when there is a file where its socket should be', async t => {
  const path = `${t.testdir({ socket: 'precious' })}/socket`

  await t.rejects(start(t, configOf(`{net: unix, addr: "${path}"}`)), {
    message: /not a socket is in the way/,
  })

  t.equal(fs.readFileSync(path, 'utf8'), 'precious')
})

t.test('startServer() replaces a stale socket, but not one that is in use', async t => {
  // The path of a socket may have about 100 characters, which a folder of testdir() exceeds.
  const dir = fs.mkdtempSync(`${tmpdir()}/entrepot-`)
  t.teardown(() => fs.rmSync(dir, { recursive: true }))
  const path = `${dir}/socket`
  const killItself = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', killItself, path])
  t.ok(fs.lstatSync(path).isSocket(), 'a killed process left its socket')

  const server = await start(t, configOf(`{net: unix, addr: "${path}"}`))

  const req = http.get({ socketPath: path, path: '/v2/' })
  const [res] = (await once(req, 'response')) as [http.IncomingMessage]
  t.equal(res.statusCode, 200)
  t.equal(await text(res), '{}')
  t.equal(server.addresses.main, path)
  await t.rejects(start(t, configOf(`{net: unix, addr: "${path}"}`)), {
    message: /another process listens there/,
  })
})

t.test('startServer() says where it listens, in the words of distribution', async t => {
  const debugPort = await freePort()
  const debug = `{addr: "127.0.0.1:${debugPort}", prometheus: {enabled: true, path: /metrics}}`

  const server = await start(t, configOf(`{addr: "127.0.0.1:0", secret: x, debug: ${debug}}`))

  const lines = server.messages.filter(message => !message.startsWith('Starting clean-up'))
  t.same(lines, [
    'providing prometheus metrics on /metrics',
    `debug server listening 127.0.0.1:${debugPort}`,
    `listening on 127.0.0.1:${server.port}`,
  ])
  t.same(server.addresses, {
    main: `127.0.0.1:${server.port}`,
    url: `http://127.0.0.1:${server.port}`,
    debug: `127.0.0.1:${debugPort}`,
  })
  t.equal((await fetch(`http://127.0.0.1:${debugPort}/debug/health`)).status, 200)
  t.match(await (await fetch(`http://127.0.0.1:${debugPort}/metrics`)).text(), /process_cpu_seconds_total/)
})

t.test('startServer() without a host listens on every interface', async t => {
  const server = await start(t, configOf('{addr: ":0"}'))

  t.match(server.addresses.main, /^(\[::\]|0\.0\.0\.0):\d+$/)
  t.equal((await fetch(`${server.url}/v2/`)).status, 200)
})

t.test('startServer() answers what is not HTTP with 400, and too many headers with 431', async t => {
  const { port } = await start(t, configOf('{addr: "127.0.0.1:0"}'))
  const table: readonly (readonly [request: string, status: string, detail: string])[] = [
    ['NONSENSE\r\n\r\n', '400 Bad Request', 'malformed request'],
    ['GET /v2/ HTTP/1.1\r\nBad Header: x\r\n\r\n', '400 Bad Request', 'malformed request'],
    [`GET /v2/ HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, '431 Request Header', 'too large'],
  ]
  for (const [request, status, detail] of table) {
    const client = await openSocket(t, port)
    client.write(request)
    const { text } = await client.ended()
    t.ok(text.startsWith(`HTTP/1.1 ${status}`), status)
    t.match(text, detail)
    t.match(JSON.parse(text.split('\r\n\r\n')[1] ?? ''), { errors: [{ code: 'UNSUPPORTED' }] })
  }
})

t.test('startServer() serves TLS from the version that is asked for', async t => {
  const dir = t.testdir({})
  const [certificate, key] = [`${dir}/cert.pem`, `${dir}/key.pem`]
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...[
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      key,
      '-out',
      certificate,
    ],
  ])
  if (made.status !== 0) return void t.comment('no openssl to make a certificate with')
  const tls = `{certificate: "${certificate}", key: "${key}", minimumtls: tls1.3}`
  const { url, messages } = await start(t, configOf(`{addr: "127.0.0.1:0", tls: ${tls}}`))
  const ca = fs.readFileSync(certificate)
  const post = (options: https.RequestOptions) =>
    https.request(`${url}/v2/foo/blobs/uploads/`, { method: 'POST', ca, agent: false, ...options }).end()

  const [res] = (await once(post({}), 'response')) as [http.IncomingMessage]
  res.resume()

  t.equal(res.statusCode, 202)
  t.ok(res.headers.location?.startsWith(`${url}/v2/foo/blobs/uploads/`), 'Location has https')
  t.ok(messages.some(message => /^listening on 127\.0\.0\.1:\d+, tls$/.test(message)))
  await t.rejects(once(post({ maxVersion: 'TLSv1.2' }), 'response'), /protocol version/)
})

t.test('stop() ends idle connections and refuses new ones, once however often it is called', async t => {
  const { port, stop, messages } = await start(t, configOf('{addr: "127.0.0.1:0", draintimeout: 5s}'))
  const idle = await openSocket(t, port)
  idle.write('GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n')
  await idle.until(received => received.endsWith('{}'))

  await Promise.all([stop(), stop()])

  await idle.ended()
  await t.rejects(once(connect(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' })
  t.equal(messages.filter(msg => msg === 'stopping server gracefully. Draining connections for 5s').length, 1)
})

t.test('stop() lets an upload under way end', async t => {
  const { url, port, stop, messages } = await start(t, configOf('{addr: "127.0.0.1:0", draintimeout: 30s}'))
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)
  client.write(`PATCH ${location.slice(url.length)} HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello`)
  await until(async () => (await fetch(location)).headers.get('range') === '0-4')

  const stopped = stop()
  await until(() => messages.some(msg => msg.startsWith('stopping')))
  client.write('world')

  t.match((await client.ended()).text, /^HTTP\/1\.1 202 [^]*Range: 0-9/)
  await stopped
})

t.test('stop() does not cut an answer that a slow client is still reading', async t => {
  const root = t.testdir({})
  const config = configOf(
    '{addr: "127.0.0.1:0", draintimeout: 30s}',
    `filesystem: {rootdirectory: "${root}"}`,
  )
  const { url, port, stop, messages } = await start(t, config)
  const size = 24 * 1024 * 1024
  const digest = await pushBlob(url, 'foo', randomBytes(size))
  const client = connect(port, '127.0.0.1')
  client.write(`GET /v2/foo/blobs/${digest} HTTP/1.1\r\nHost: h\r\n\r\n`)
  await once(client, 'readable')

  const stopped = stop()
  await until(() => messages.some(msg => msg.startsWith('stopping')))
  let received = 0
  for await (const chunk of client) received += (chunk as Buffer).length

  t.ok(received > size, `received ${received} bytes, headers included`)
  await stopped
})

t.test('stop() destroys what does not end in time', async t => {
  const { url, port, stop } = await start(t, configOf('{addr: "127.0.0.1:0", draintimeout: 50ms}'))
  const location = await startUpload(url, 'foo')
  const client = await openSocket(t, port)
  client.write(`PATCH ${location.slice(url.length)} HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello`)
  await until(async () => (await fetch(location)).headers.get('range') === '0-4')

  await stop()

  t.equal((await client.ended()).text, '')
})
