import fs from 'node:fs'
import { once } from 'node:events'
import http2, { type IncomingHttpHeaders } from 'node:http2'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { TlsConfig } from '../../lib/config/config.ts'
import { listen, type ListenDeps, type ListenOptions } from '../../lib/listener.ts'
import { createLogger } from '../../lib/log.ts'
import { makeCertificates } from '../support/certificates.ts'
import { openSocket } from '../support/http-client.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

type Made = NonNullable<ReturnType<typeof makeCertificates>>
type Mode = TlsConfig['clientauth']

function filesOf(t: Test, { ca, server }: Made) {
  const dir = t.testdir({ 'cert.pem': server.cert, 'key.pem': server.key, 'ca.pem': ca })
  return { certificate: `${dir}/cert.pem`, key: `${dir}/key.pem`, ca: `${dir}/ca.pem` }
}

async function start(
  t: Test,
  made: Made,
  tls: Partial<TlsConfig> = {},
  more: Partial<ListenOptions> = {},
  deps: ListenDeps = {},
) {
  const files = filesOf(t, made)
  const listener = await listen(
    (req, res) => {
      res.end(`HTTP/${req.httpVersion}`)
      return Promise.resolve()
    },
    {
      addr: '127.0.0.1:0',
      net: 'tcp',
      tls: {
        letsencrypt: undefined,
        certificate: files.certificate,
        key: files.key,
        minimumtls: 'tls1.2',
        ciphersuites: [],
        clientcas: [],
        clientauth: undefined,
        ...tls,
      },
      ...more,
    },
    deps,
  )
  t.teardown(() => listener.close())
  return { url: listener.url, port: Number(new URL(listener.url).port), files, listener }
}

async function get(url: string, options: https.RequestOptions): Promise<string> {
  const [res] = (await once(https.get(url, { agent: false, ...options }), 'response')) as [IncomingMessage]
  return (await buffer(res)).toString()
}

async function shake(t: Test, port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', ...options })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

const made = makeCertificates(t, ['127.0.0.1', 'localhost'])
if (made === undefined) t.comment('no openssl to make certificates with')
else run(made)

function run(made: Made): void {
  const { ca, client } = made

  t.test('listen() offers HTTP/2 over TLS, and HTTP/1.1 to those who want it', async t => {
    const { url } = await start(t, made)
    const session = http2.connect(url, { ca })
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/' })

    const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]

    t.equal(answer[':status'], 200)
    t.equal((await buffer(stream)).toString(), 'HTTP/2.0')
    t.equal(await get(url, { ca }), 'HTTP/1.1')
  })

  t.test('listen() offers no HTTP/2 where it is disabled', async t => {
    const { port } = await start(t, made, {}, { http2: { disabled: true } })

    t.equal((await shake(t, port, { ca, ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol, 'http/1.1')
  })

  t.test('listen() tells a client that speaks plain HTTP to a port of TLS', async t => {
    const { port } = await start(t, made)
    const plain = await openSocket(t, port)

    plain.write('GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n')

    const { text } = await plain.ended()
    t.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.match(text, /Client sent an HTTP request to an HTTPS server\.\n$/)
  })

  t.test('listen() uses the suites and versions that are chosen', async t => {
    const { port } = await start(t, made, {
      ciphersuites: ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256'],
    })
    const suiteWith = async (maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
      (await shake(t, port, { ca, maxVersion })).getCipher().standardName

    t.equal(await suiteWith('TLSv1.2'), 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384')
    t.equal(await suiteWith('TLSv1.3'), 'TLS_AES_128_GCM_SHA256')
    await t.rejects(start(t, made, { ciphersuites: ['TLS_NULL'] }), { message: /TLS_NULL/ })
  })

  t.test('clientauth decides who may connect', async t => {
    const stranger = makeCertificates(t, ['x'])?.client
    const table: readonly (readonly [mode: Mode, nobody: boolean, unknown: boolean])[] = [
      ['request-client-cert', true, true],
      ['require-any-client-cert', false, true],
      ['verify-client-cert-if-given', true, false],
      ['require-and-verify-client-cert', false, false],
    ]
    for (const [clientauth, nobody, unknown] of table) {
      const files = filesOf(t, made)
      const { url } = await start(t, made, { clientcas: [files.ca], clientauth })
      const may = (options: https.RequestOptions) =>
        get(url, { ca, ...options }).then(
          () => true,
          () => false,
        )

      t.equal(await may({ ...client }), true, `${clientauth}: a client that is known`)
      t.equal(await may({}), nobody, `${clientauth}: without a certificate`)
      t.equal(await may({ ...stranger }), unknown, `${clientauth}: of another authority`)
      t.equal(await may({ ...stranger, maxVersion: 'TLSv1.2' }), unknown, `${clientauth}: TLS 1.2`)
    }
  })

  t.test('listen() rejects where a certificate is unusable', async t => {
    const other = makeCertificates(t, ['other'])
    const dir = fs.mkdtempSync(`${tmpdir()}/entrepot-`)
    t.teardown(() => fs.rmSync(dir, { recursive: true }))
    fs.writeFileSync(`${dir}/not.pem`, 'x')
    fs.writeFileSync(`${dir}/other.key`, other?.server.key ?? '')

    await t.rejects(start(t, made, { certificate: `${dir}/absent` }), { message: /Cannot read certificate/ })
    await t.rejects(start(t, made, { certificate: `${dir}/not.pem` }), { message: /Cannot use certificate/ })
    await t.rejects(start(t, made, { key: `${dir}/other.key` }), { message: /Cannot use certificate/ })
    await t.rejects(start(t, made, { clientcas: [`${dir}/not.pem`], clientauth: 'request-client-cert' }), {
      message: /no certificates of authorities/,
    })
  })

  t.test('a certificate that is replaced is used, one that is broken is not', async t => {
    const next = makeCertificates(t, ['127.0.0.1'])
    const clock = new ManualClock()
    const expiries: number[] = []
    const errors: string[] = []
    const write = (line: string) => void errors.push(line)
    const logger = createLogger({ level: 'error', formatter: 'json', fields: {}, write })
    const { port, files } = await start(
      t,
      made,
      {},
      {},
      { clock, logger, onCertificateExpiry: ms => void expiries.push(ms) },
    )
    const serial = async () =>
      (await shake(t, port, { rejectUnauthorized: false })).getPeerX509Certificate()?.serialNumber
    const before = await serial()

    fs.writeFileSync(files.certificate, 'half a cert')
    await until(() => {
      clock.advance(5000)
      return errors.length === 1
    })
    t.equal(await serial(), before, 'the old one stays')

    fs.writeFileSync(files.certificate, next?.server.cert ?? '')
    fs.writeFileSync(files.key, next?.server.key ?? '')
    await until(async () => {
      clock.advance(5000)
      return (await serial()) !== before
    })

    t.equal(expiries.length, 2)
    t.ok((expiries[1] ?? 0) > Date.now())
  })

  t.test('a client that begins a handshake and does not go on is sent away', async t => {
    const { port } = await start(t, made, {}, {}, { handshakeTimeoutMs: 50 })
    const client = await openSocket(t, port)

    client.write('\x16\x03\x01\x02\x00\x01')

    t.equal((await client.ended()).text, '')
  })

  t.test('a client that says nothing at all is sent away', async t => {
    const clock = new ManualClock()
    const { port } = await start(t, made, {}, {}, { clock })
    const silent = await openSocket(t, port)
    await until(() => clock.sleeping === 2)

    clock.advance(10_000)

    t.equal((await silent.ended()).text, '')
  })
}
