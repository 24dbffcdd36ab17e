// What the driver is besides its contract: signed URLs, credentials, logs, and what goes wrong with a bucket.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { systemClock } from '../../../../lib/clock.ts'
import { createLogger } from '../../../../lib/log.ts'
import { createMetrics } from '../../../../lib/metrics.ts'
import { openDriver } from '../../../../lib/storage/driver/open.ts'
import { s3Section, type S3Config } from '../../../../lib/storage/driver/s3/config.ts'
import { S3Driver, type S3DriverDeps } from '../../../../lib/storage/driver/s3/driver.ts'
import { startS3Server } from '../../../support/s3-server.ts'
import { at, pattern, walked } from '../suite.ts'

function open(t: Test, config: S3Config, deps: Partial<S3DriverDeps> = {}): S3Driver {
  const driver = new S3Driver(config, { clock: systemClock, ...deps })
  t.teardown(() => driver.close())
  return driver
}

void t.test('openDriver() opens s3 and s3aws, both measured as s3aws', async t => {
  const { config } = await startS3Server(t)
  for (const name of ['s3', 's3aws'] as const) {
    const metrics = createMetrics()
    const driver = await openDriver(name, config(), { metrics, clock: systemClock })
    await driver.stat(at('/'))
    t.match(await metrics.registry.metrics(), 'storage_action_seconds_count{driver="s3aws",action="Stat"} 1')
    await t.rejects(driver.stat(at('/none')), { name: 'PathNotFoundError', driver: 's3aws' })
    await driver.close()
  }
})

void t.test('redirectUrl() is a signed URL, at the redirect endpoint where there is one', async t => {
  const { config, endpoint } = await startS3Server(t)
  const driver = open(t, config({ rootdirectory: '/root' }))
  await driver.writeAll(at('/file'), pattern(1000))

  const url = await driver.redirectUrl(at('/file'), 20 * 60_000)

  t.equal(url.origin, endpoint)
  t.equal(url.searchParams.get('X-Amz-Expires'), '1200')
  const response = await fetch(url)
  t.ok(Buffer.from(await response.arrayBuffer()).equals(pattern(1000)))
  t.equal((await fetch(new URL(url.pathname, url), { method: 'HEAD' })).status >= 200, true)
  const elsewhere = open(t, config({ redirectendpoint: 'https://cdn.example' }))
  const { origin, searchParams } = await elsewhere.redirectUrl(at('/file'), 1000)
  t.equal(origin, 'https://cdn.example')
  t.ok(searchParams.has('X-Amz-Signature'))
})

void t.test('S3Driver takes older names of credentials from the environment', async t => {
  const { config } = await startS3Server(t)
  const { credentials, ...rest } = config()
  const env = { AWS_ACCESS_KEY: credentials?.accessKeyId, AWS_SECRET_KEY: credentials?.secretAccessKey }

  const driver = open(t, { ...rest, credentials: undefined }, { env })

  await driver.writeAll(at('/file'), pattern(10))
  t.equal((await driver.readAll(at('/file'))).length, 10)
})

void t.test('S3Driver logs calls if it is told to, and no secret', async t => {
  const { config } = await startS3Server(t)
  const lines: string[] = []
  const logger = createLogger({
    level: 'debug',
    formatter: 'json',
    fields: {},
    write: line => lines.push(line),
  })
  const quiet = open(t, config(), { logger })
  await quiet.writeAll(at('/file'), pattern(10))
  t.same(lines, [])

  const driver = open(t, config({ loglevel: 'debugwithsigning' }), { logger })
  await driver.readAll(at('/file'))
  await t.rejects(driver.readAll(at('/none')))

  const { credentials } = config()
  t.match(lines.join(''), /GetObjectCommand.*file/)
  t.match(lines.join(''), /NoSuchKey/)
  t.notMatch(lines.join(''), new RegExp(credentials?.secretAccessKey ?? '-'))
  t.notMatch(lines.join(''), /Signature|authorization/i)
})

void t.test('S3Driver takes a bucket that is not there for a failure, not for an absent file', async t => {
  const { config } = await startS3Server(t)
  const driver = open(t, config({ bucket: 'nowhere' }))

  await t.rejects(driver.readAll(at('/file')), { name: 'StorageError', message: /NoSuchBucket/ })
  await t.rejects(driver.writeAll(at('/file'), pattern(1)), { name: 'StorageError', path: '/file' })
  await t.rejects(driver.list(at('/')), { name: 'StorageError' })
})

void t.test('remove() takes more files than one request can', async t => {
  const { config } = await startS3Server(t)
  const driver = open(t, config())
  for (let start = 0; start < 1100; start += 50) {
    const paths = Array.from({ length: 50 }, (_, i) => at(`/dir/${start + i}`))
    await Promise.all(paths.map(path => driver.writeAll(path, Buffer.of(1))))
  }

  t.equal((await walked(driver, '/dir')).length, 1100)
  await driver.remove(at('/dir'))
  t.same(await walked(driver, '/'), [])
})

void t.test('read() goes on where the server broke off', async t => {
  const content = pattern(1_000_000)
  const ranges: (string | undefined)[] = []
  const server = createServer((request, response) => {
    const { range } = request.headers
    ranges.push(range)
    const start = Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0)
    response.writeHead(start === 0 ? 200 : 206, { 'content-length': content.length - start, etag: '"e"' })
    // Half of what is left, and then nothing more, but at last all of it.
    if (ranges.length === 3) return void response.end(content.subarray(start))
    const half = content.subarray(start, start + Math.ceil((content.length - start) / 2))
    response.write(half, () => void setImmediate(() => response.destroy()))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const driver = open(
    t,
    s3Section.schema.parse({
      bucket: 'b',
      regionendpoint: `http://127.0.0.1:${port}`,
      accesskey: 'a',
      secretkey: 's',
    }),
  )

  const read = await buffer(await driver.read(at('/file')))

  t.ok(read.equals(content))
  t.match(ranges, [undefined, /^bytes=\d+-999999$/, /^bytes=\d+-999999$/])
})
