import { randomBytes } from 'node:crypto'
import { createServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { proxiesFrom } from '../../lib/upstream/proxies.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startFakeProxy } from '../support/fake-proxy.ts'
import { readAll, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = randomBytes(100_000)
const digest = digestOf(content)

t.test('proxiesFrom() names the variable, and not its value, that is no HTTP proxy', async t => {
  for (const variable of ['HTTP_PROXY', 'https_proxy', 'ALL_PROXY']) {
    for (const value of ['socks5://me:hunter2@proxy.test', 'http://', 'http://me:hunter2@']) {
      const attempt = () => proxiesFrom({ [variable]: value })
      t.throws(attempt, { name: 'TypeError', message: new RegExp(`^[^:]*"${variable}": [a-z A-Z]+$`) }, value)
    }
  }
})

t.test('proxiesFrom() reads what the environment has', async t => {
  const cases: readonly (readonly [
    env: Record<string, string | undefined>,
    ...wanted: (string | undefined)[],
  ])[] = [
    [{ HTTP_PROXY: 'http://a:1' }, 'http://a:1/', undefined, undefined],
    [{ HTTPS_PROXY: 'https://b' }, undefined, 'https://b/', undefined],
    [{ HTTP_PROXY: 'a:3128', NO_PROXY: 'x,.y' }, 'http://a:3128/', undefined, 'x,.y'],
    [{ http_proxy: 'http://a', HTTP_PROXY: 'http://b' }, 'http://a/', undefined, undefined],
    [{ http_proxy: ' ', HTTP_PROXY: 'http://b', no_proxy: '*' }, 'http://b/', undefined, '*'],
    [{ ALL_PROXY: 'http://c', https_proxy: 'http://b' }, 'http://c/', 'http://b/', undefined],
    [{ http_proxy: 'http://a', https_proxy: 'http://b', ALL_PROXY: 'socks5://c' }, 'http://a/', 'http://b/'],
  ]
  for (const [env, http, https, noProxy] of cases) {
    const proxies = proxiesFrom(env)
    t.same(
      [proxies?.http?.href, proxies?.https?.href, proxies?.noProxy],
      [http, https, noProxy],
      JSON.stringify(env),
    )
  }
  for (const env of [{}, { NO_PROXY: '*' }, { HTTP_PROXY: '', ALL_PROXY: undefined }]) {
    t.equal(proxiesFrom(env), undefined)
  }
})

t.test('Transport.send() fails where its proxy refuses, and says no password', async t => {
  const proxy = await startFakeProxy(t, { credentials: 'me:hunter2' })
  const httpProxy = new URL(proxy.url)
  httpProxy.username = 'me'
  httpProxy.password = 'wrong-secret'
  for (const url of ['http://registry.test:1234', 'https://registry.test:1234']) {
    const { client, logLines } = await startClient(t, { url: () => new URL(url), upstream: { httpProxy } })

    const failure: unknown = await client.openBlob(name, digest).catch((err: unknown) => err)

    t.match(failure, { name: 'UpstreamError', message: /407/ })
    t.notMatch(JSON.stringify([failure, logLines, String((failure as Error).cause)]), /wrong-secret/)
  }
  t.same(proxy.asked, [
    `GET http://registry.test:1234/v2/${name}/blobs/${digest}`,
    'CONNECT registry.test:1234',
  ])
})

t.test('Transport.send() waits for a proxy only so long', async t => {
  const proxy = await startFakeProxy(t, { isSilent: true })
  const { client } = await startClient(t, {
    url: () => new URL('https://registry.test:1234'),
    timeouts: { connectMs: 1_000 },
    upstream: { httpProxy: proxy.url, retries: 2 },
  })

  await t.rejects(client.openBlob(name, digest), upstreamError('unavailable'))
  t.equal(proxy.asked.length, 1)
})

t.test('Transport.send() refuses literal addresses also behind a proxy', async t => {
  const proxy = await startFakeProxy(t)
  for (const host of ['10.0.0.1', 'localhost']) {
    const { client } = await startClient(t, {
      url: () => new URL(`http://${host}:1234`),
      upstream: { httpProxy: proxy.url, urlFrom: 'client' },
    })
    await t.rejects(client.openBlob(name, digest), upstreamError('invalid'))
  }
  t.same(proxy.asked, [])
})

t.test(
  'Transport.send() asks through the proxy of its upstream, with credentials, tokens and redirects too',
  async t => {
    const proxy = await startFakeProxy(t, { credentials: 'me:hunter2' })
    const httpProxy = new URL(proxy.url)
    httpProxy.username = 'me'
    httpProxy.password = 'hunter2'
    const { fake, client } = await startClient(t, {
      auth: 'bearer',
      cdn: true,
      url: url => new URL(url.href.replace('127.0.0.1', 'registry.test')),
      upstream: { httpProxy, trustedHosts: ['127.0.0.1'] },
    })
    fake.addBlob(name, content)

    t.ok((await readAll(await client.openBlob(name, digest))).equals(content))
    t.match(proxy.asked, [
      /^GET http:\/\/registry\.test:\d+\/v2\//,
      /^GET http:\/\/127\.0\.0\.1:\d+\/token/,
      /^GET http:\/\/registry\.test:\d+\/v2\//,
      /^GET http:\/\/127\.0\.0\.1:\d+\/cdn\//,
    ])
    t.equal(fake.requests[0]?.headers.host, `registry.test:${new URL(fake.url).port}`)
  },
)

t.test('Transport.send() goes around proxies for the hosts of noProxy', async t => {
  const proxy = await startFakeProxy(t)
  const { fake, client } = await startClient(t, {
    upstream: { proxies: { http: proxy.url, noProxy: 'localhost,127.0.0.1' } },
  })
  fake.addBlob(name, content)

  t.ok((await readAll(await client.openBlob(name, digest))).equals(content))
  t.same(proxy.asked, [])
  await t.rejects(
    (async () => {
      fake.failNext({ status: 307, headers: { Location: 'http://localhost:1/' } })
      await client.openBlob(name, digest)
    })(),
    upstreamError('invalid'),
    'what is asked directly is guarded as ever',
  )
})

t.test('Transport.send() tunnels through a proxy to an upstream with TLS', async t => {
  const certificates = makeCertificates(t, ['registry.test'])
  if (certificates === undefined) return void t.comment('no openssl to make a certificate with')
  const server = createServer(certificates.server, (_req, res) => res.end(content)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const proxy = await startFakeProxy(t)
  const { client } = await startClient(t, {
    url: () => new URL(`https://registry.test:${port}`),
    upstream: { proxies: { https: proxy.url }, tls: { ca: certificates.ca } },
  })

  for (let i = 0; i < 2; i++) {
    t.ok((await readAll(await client.openBlob(name, digest))).equals(content))
    // A connection is free again a turn after the end of its body.
    await turn()
  }

  t.same(proxy.asked, [`CONNECT registry.test:${port}`], 'the tunnel is kept alive')
})
