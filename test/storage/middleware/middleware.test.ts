import { generateKeyPairSync, createHash } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/clock.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import type { StorageMiddlewareConfig } from '../../../lib/config/middleware.ts'
import { createLogger } from '../../../lib/log.ts'
import { startServer } from '../../../lib/server.ts'
import type { StorageDriver, StoragePath } from '../../../lib/storage/driver/driver.ts'
import { withMiddleware } from '../../../lib/storage/middleware/apply.ts'
import { driverSections } from '../../support/driver-sections.ts'
import { openTestDriver } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

const silent = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })
const blob = '/docker/registry/v2/blobs/sha256/aa/aa11/data' as StoragePath

async function startWith(t: Test, more: string) {
  const root = t.testdir({})
  const text = `
version: 0.1
storage: {filesystem: {rootdirectory: "${root}"}, ${more}
http: {addr: "127.0.0.1:0"}`
  const { config } = loadConfig({ text, env: {}, drivers: driverSections })
  const server = await startServer({ config, logger: silent, version: 'test' })
  t.teardown(() => server.stop())
  return server.addresses.url
}

async function pushBlob(url: string): Promise<string> {
  const content = Buffer.from('some content')
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  const pushed = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: content,
  })
  if (pushed.status === 201) return digest
  const location = new URL(pushed.headers.get('location') ?? '', url)
  location.searchParams.set('digest', digest)
  await fetch(location, { method: 'PUT', body: content })
  return digest
}

void t.test('clients of any store are sent to the base URL, unless redirects are disabled', async t => {
  const middleware = 'middleware: {storage: [{name: redirect, options: {baseurl: "https://cdn.test/a/"}}]}'
  const url = await startWith(t, `}\n${middleware}`)
  const digest = await pushBlob(url)
  const answer = await fetch(`${url}/v2/team/app/blobs/${digest}`, { redirect: 'manual' })
  const hex = digest.slice(7)

  t.equal(answer.status, 307)
  t.equal(
    answer.headers.get('location'),
    `https://cdn.test/a/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`,
  )
  const head = await fetch(`${url}/v2/team/app/blobs/${digest}`, { method: 'HEAD', redirect: 'manual' })
  t.equal(head.headers.get('content-length'), '12')

  const disabled = await startWith(t, `redirect: {disable: true}}\n${middleware}`)
  const served = await fetch(`${disabled}/v2/team/app/blobs/${await pushBlob(disabled)}`, {
    redirect: 'manual',
  })
  t.equal(await served.text(), 'some content')
})

async function wrapped(
  t: Test,
  middleware: readonly StorageMiddlewareConfig[],
  options: { readonly hasUrls?: boolean; readonly rootDirectory?: string } = {},
): Promise<StorageDriver> {
  const driver = await openTestDriver(t, 'inmemory')
  const redirectUrl = async (path: string) => new URL(`http://bucket.test:9000/pre${path}?sig=1`)
  const inner = options.hasUrls === false ? driver : { ...driver, redirectUrl }
  const deps = { clock: systemClock, logger: silent, rootDirectory: options.rootDirectory ?? '' }
  const outer = await withMiddleware(inner, middleware, deps)
  t.teardown(() => outer.close())
  return outer
}

void t.test('rewrite changes scheme, host and path of the URL that the driver gives', async t => {
  const config = {
    name: 'rewrite',
    scheme: 'https',
    host: 'cdn.test',
    trimpathprefix: '/pre/docker',
  } as const
  const driver = await wrapped(t, [config])
  const untouched = { ...config, scheme: undefined, host: undefined, trimpathprefix: '/other' }

  t.equal(
    (await driver.redirectUrl?.(blob, 1))?.href,
    'https://cdn.test/registry/v2/blobs/sha256/aa/aa11/data?sig=1',
  )
  t.equal(
    (await (await wrapped(t, [untouched])).redirectUrl?.(blob, 1))?.href,
    `http://bucket.test:9000/pre${blob}?sig=1`,
  )
  t.equal((await wrapped(t, [config], { hasUrls: false })).redirectUrl, undefined)
})

function cloudFront(t: Test, over: object = {}) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const privatekey = `${t.testdir({})}/key.pem`
  fs.writeFileSync(privatekey, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  return {
    name: 'cloudfront',
    baseurl: new URL('https://d1.cloudfront.test/base'),
    privatekey,
    keypairid: 'KEY',
    durationMs: 60_000,
    ipfilteredby: 'none',
    awsregion: [],
    updatefrequencyMs: 3600_000,
    iprangesurl: undefined,
    ...over,
  } as const
}

void t.test('cloudfront signs the key in the bucket', async t => {
  const driver = await wrapped(t, [cloudFront(t)], { rootDirectory: '/data', hasUrls: false })
  const url = await driver.redirectUrl?.(blob, 1)

  t.equal(`${url?.origin}${url?.pathname}`, `https://d1.cloudfront.test/base/data${blob}`)
  t.equal(url?.searchParams.get('Key-Pair-Id'), 'KEY')
  t.ok(Number(url?.searchParams.get('Expires')) > systemClock.now() / 1000)
  t.ok(url?.searchParams.get('Signature'))
})

void t.test('cloudfront refuses a key that is none', async t => {
  const config = cloudFront(t)
  fs.writeFileSync(config.privatekey, 'nothing')

  await t.rejects(wrapped(t, [config]), { message: /not a private key of RSA/ })
  await t.rejects(wrapped(t, [{ ...config, privatekey: '/no/such' }]), {
    message: /Cannot read the private key/,
  })
})

void t.test(
  'cloudfront sends clients in the wanted regions to the bucket, and others away, also without ranges',
  async t => {
    const ranges = {
      prefixes: [
        { ip_prefix: '10.1.0.0/16', region: 'us-east-1' },
        { ip_prefix: '10.2.0.0/16', region: 'eu-west-1' },
      ],
      ipv6_prefixes: [{ ipv6_prefix: '2001:db8::/32', region: 'us-east-1' }],
    }
    let status = 200
    let asked = 0
    const server = http.createServer((_, res) => {
      asked++
      res.writeHead(status).end(JSON.stringify(ranges))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    const iprangesurl = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const over = { ipfilteredby: 'awsregion', awsregion: ['us-east-1'], iprangesurl }
    const driver = await wrapped(t, [cloudFront(t, over)])
    const hostFor = async (client: string) => (await driver.redirectUrl?.(blob, 1, client))?.host

    await until(async () => (await hostFor('10.1.2.3')) === 'bucket.test:9000')
    t.equal(await hostFor('::ffff:10.1.2.3'), 'bucket.test:9000')
    t.equal(await hostFor('2001:db8::1'), 'bucket.test:9000')
    t.equal(await hostFor('10.2.0.1'), 'd1.cloudfront.test')
    t.equal(await hostFor(''), 'd1.cloudfront.test')

    status = 500
    const without = await wrapped(t, [cloudFront(t, over)])
    await until(() => asked === 2)
    t.equal((await without.redirectUrl?.(blob, 1, '10.1.2.3'))?.host, 'd1.cloudfront.test')
  },
)
