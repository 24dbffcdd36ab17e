import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createAddressGuard } from '../../lib/upstream/address-guard.ts'
import { createDispatchers } from '../../lib/upstream/dispatchers.ts'
import { createTlsContext, type TlsOptions } from '../../lib/upstream/tls.ts'
import { makeCertificates } from '../support/certificates.ts'
import { readAll, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = randomBytes(1000)
const digest = digestOf(content)
const certificates = makeCertificates(t, ['127.0.0.1', 'localhost'])
const unlessCertificates = {
  skip: certificates === undefined ? 'no openssl to make a certificate with' : false,
}
const { ca, server, client } = certificates ?? { ca: '', server: undefined, client: undefined }

/** A server that says whom it saw, as far as a certificate tells. */
async function startServer(t: Test, options: ServerOptions = {}) {
  const seen: string[] = []
  const https = createServer({ ...server, ...options }, (req, res) => {
    seen.push(req.socket instanceof TLSSocket ? commonName(req.socket) : 'nobody')
    res.end(content)
  }).listen(0, '127.0.0.1')
  await once(https, 'listening')
  t.teardown(() => https.close().closeAllConnections())
  return { port: (https.address() as AddressInfo).port, seen }
}

/** `subject` is missing where the client has shown no certificate, whatever its type says. */
function commonName(socket: TLSSocket): string {
  const { subject } = socket.getPeerCertificate() as { readonly subject?: { readonly CN: string } }
  return subject?.CN ?? 'nobody'
}

async function open(t: Test, port: number, tls: TlsOptions | undefined) {
  const url = new URL(`https://127.0.0.1:${port}`)
  const { client } = await startClient(t, { url: () => url, upstream: { tls } })
  return await readAll(await client.openBlob(name, digest))
}

t.test('createTlsContext() rejects what is no certificate, and quotes none of it', async t => {
  for (const tls of [
    { ca: 'hunter2' },
    { cert: 'hunter2', key: 'hunter2' },
    { key: 'hunter2' },
    { cert: 'hunter2' },
  ]) {
    t.throws(
      () => createTlsContext(tls),
      { name: 'TypeError', message: /^Cannot use (?!.*hunter2)/ },
      JSON.stringify(tls),
    )
  }
})

t.test(
  'Transport.send() refuses a certificate that nobody it knows has signed',
  unlessCertificates,
  async t => {
    const { port, seen } = await startServer(t)
    for (const tls of [undefined, {}, client]) {
      await t.rejects(
        open(t, port, tls),
        upstreamError('unavailable', { message: /UNABLE_TO_VERIFY|SELF_SIGNED/ }),
      )
    }
    t.same(seen, [])
  },
)

t.test(
  'Transport.send() accepts what an authority of the configuration has signed',
  unlessCertificates,
  async t => {
    const { port } = await startServer(t)

    t.ok((await open(t, port, { ca })).equals(content))
  },
)

t.test('Transport.send() believes anybody if it is told to', unlessCertificates, async t => {
  const { port } = await startServer(t)

  t.ok((await open(t, port, { insecureSkipVerify: true })).equals(content))
})

t.test('Transport.send() shows its certificate to its upstream', unlessCertificates, async t => {
  const { port, seen } = await startServer(t, { ca, requestCert: true, rejectUnauthorized: true })

  await t.rejects(open(t, port, { ca }), upstreamError('unavailable'))
  t.ok((await open(t, port, { ca, ...client })).equals(content))
  t.same(seen, ['entrepot'])
})

t.test('Dispatchers show no certificate to other hosts, and verify theirs', unlessCertificates, async t => {
  const { port, seen } = await startServer(t, { ca, requestCert: true, rejectUnauthorized: false })
  const known = createAddressGuard(['127.0.0.1', 'localhost'])
  const guard = { ...known, isTrusted: (hostname: string) => hostname === '127.0.0.1' }
  const ask = async (hostname: string, tls: TlsOptions) => {
    const dispatchers = createDispatchers({ guard, tls })
    t.teardown(() => dispatchers.destroy())
    const origin = `https://${hostname}:${port}`
    const { body } = await dispatchers.for(hostname).request({ origin, path: '/', method: 'GET' })
    await body.dump()
  }

  await t.rejects(ask('localhost', { insecureSkipVerify: true }), { code: /UNABLE_TO_VERIFY|SELF_SIGNED/ })
  await ask('127.0.0.1', { ca, ...client })
  await ask('localhost', { ca, ...client })
  t.same(seen, ['entrepot', 'nobody'])
})
