// What a client of zstd:chunked layers asks for: up to 1,024 pieces of a layer in one request, often of a layer that is
// not here yet.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { parseDigest } from '../../lib/oci/digest.ts'
import type { Fill } from '../../lib/proxy/fill.ts'
import { listen } from '../../lib/listener.ts'
import type { BlobBody } from '../../lib/registry/registry.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { app, startFillProcess } from '../support/fill-process.ts'
import { pushBlob, sha256, startApp, type AppOptions } from '../support/http-client.ts'
import { driverKinds, openTestDriver } from '../support/stores.ts'
import { until } from '../support/until.ts'

const mebibyte = 1024 * 1024
const content = randomBytes(16 * mebibyte)
const digest = parseDigest(sha256(content))
const step = content.length / 1024
const ranges = Array.from({ length: 1024 }, (_, i) => [i * step + 100, i * step + 100 + (i % 50)] as const)
const header = `bytes=${ranges.map(([first, last]) => `${first}-${last}`).join(',')}`

/** The application behind the listener that has our limits. */
async function start(t: Test, options: AppOptions) {
  const { server } = await startApp(t, options)
  const handle = (...args: Parameters<Parameters<typeof listen>[0]>) => {
    server.emit('request', ...args)
    return Promise.resolve()
  }
  const listener = await listen(handle, { addr: '127.0.0.1:0', net: 'tcp', tls: undefined })
  t.teardown(() => listener.close())
  return listener.url
}

/** Every blob of the registry is this fill's. */
function bodyOf(fill: Fill, byPosition: boolean): BlobBody {
  const must = <T>(found: T | undefined): T => {
    if (found === undefined) throw new Error('expected content')
    return found
  }
  return {
    kind: 'bytes',
    digest,
    size: fill.size,
    origin: 'fill',
    read: async (range, options) => must(await fill.read(range, options)),
    openReader: byPosition ? async options => must(await fill.openReader(options)) : undefined,
  }
}

async function mustBeTheRanges(t: Test, res: Response): Promise<void> {
  t.equal(res.status, 206)
  const body = Buffer.from(await res.arrayBuffer())
  t.equal(res.headers.get('content-length'), String(body.length))
  const boundary = /boundary=(.*)$/.exec(res.headers.get('content-type') ?? '')?.[1] ?? ''
  const expected = ranges.map(([first, last]) =>
    Buffer.concat([
      Buffer.from(`--${boundary}\r\nContent-Type: application/octet-stream\r\n`),
      Buffer.from(`Content-Range: bytes ${first}-${last}/${content.length}\r\n\r\n`),
      content.subarray(first, last + 1),
      Buffer.from('\r\n'),
    ]),
  )
  t.ok(body.equals(Buffer.concat([...expected, Buffer.from(`--${boundary}--\r\n`)])), 'all of them, in order')
}

t.test('a request for 1,025 ranges, or for more than there is, is answered with the whole', async t => {
  const url = await start(t, {})
  await pushBlob(url, 'foo', content)

  for (const many of [`${header},7-7`, `bytes=0-,${'5-9,'.repeat(1000)}`]) {
    const res = await fetch(`${url}/v2/foo/blobs/${digest}`, { headers: { Range: many } })

    t.equal(res.status, 200)
    t.ok(Buffer.from(await res.arrayBuffer()).equals(content))
  }
})

for (const kind of driverKinds) {
  t.test(`1,024 ranges of a stored blob are sent in one answer (${kind})`, async t => {
    const url = await start(t, { driver: kind })
    await pushBlob(url, 'foo', content)

    await mustBeTheRanges(t, await fetch(`${url}/v2/foo/blobs/${digest}`, { headers: { Range: header } }))
  })

  t.test(`1,024 ranges of a blob on its way are sent as it comes (${kind})`, async t => {
    const upstream = await startFakeUpstream(t)
    upstream.addBlob(app, content)
    const driver = await openTestDriver(t, kind)
    const { fills, join } = await startFillProcess(t, { upstream, driver })
    upstream.hold(5 * mebibyte)
    const fill = await join(digest)
    const open = () => Promise.resolve(bodyOf(fill, driver.openReader !== undefined))
    const url = await start(t, {
      wrap: local => ({
        ...local,
        repository: name => {
          const repository = local.repository(name)
          return { ...repository, blobs: { ...repository.blobs, open } }
        },
      }),
    })

    const res = await fetch(`${url}/v2/foo/blobs/${digest}`, { headers: { Range: header } })
    await until(() => fills.find(digest)?.bytesStored === 5 * mebibyte)
    upstream.release()

    await mustBeTheRanges(t, res)
    t.match(await fill.settled, { kind: 'stored' })
    t.equal(upstream.count(/^GET /), 1)
  })
}

t.test('1,024 ranges need more room for headers than Node gives', async t => {
  t.ok(header.length > 16 * 1024, `${header.length} bytes`)
})
