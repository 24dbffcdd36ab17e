// Ranges of blobs, several at once above all, from stores that read by position, from those that do not, and from fills.
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { parseDigest } from '../../lib/oci/digest.ts'
import type { BlobBody, Registry } from '../../lib/registry/registry.ts'
import { codesOf, openSocket, pushBlob, sha256, startApp, type AppOptions } from '../support/http-client.ts'
import { driverKinds } from '../support/stores.ts'
import { until } from '../support/until.ts'

const content = randomBytes(900_000)
const digest = sha256(content)
const path = `/v2/foo/blobs/${digest}`

interface Part {
  readonly type: string
  readonly range: string
  readonly body: Buffer
}

/** Reads a multipart/byteranges answer as RFC 2046 has it: by boundaries alone. */
async function partsOf(res: Response): Promise<Part[]> {
  const boundary = /^multipart\/byteranges; boundary=([0-9A-Za-z'()+_,./:=?-]{1,70})$/.exec(
    res.headers.get('content-type') ?? '',
  )?.[1]
  if (boundary === undefined) throw new Error(`no multipart answer: ${res.status}`)
  const text = Buffer.from(await res.arrayBuffer()).toString('latin1')
  const [preamble, ...pieces] = `\r\n${text}`.split(`\r\n--${boundary}`)
  if (preamble !== '' || pieces.pop() !== '--\r\n') throw new Error('no proper beginning or end')
  return pieces.map(piece => {
    const [head = '', ...rest] = piece.split('\r\n\r\n')
    const field = (name: string) => new RegExp(`\r\n${name}: ([^\r]*)`).exec(head)?.[1] ?? ''
    return {
      type: field('Content-Type'),
      range: field('Content-Range'),
      body: Buffer.from(rest.join('\r\n\r\n'), 'latin1'),
    }
  })
}

/** Every blob of this registry is `body`. */
function withBlob(body: Partial<Extract<BlobBody, { kind: 'bytes' }>>): (local: Registry) => Registry {
  return local => ({
    ...local,
    repository: name => {
      const repository = local.repository(name)
      const open = () =>
        Promise.resolve({
          kind: 'bytes' as const,
          digest: parseDigest(digest),
          size: content.length,
          origin: 'fill' as const,
          read: (range = { start: 0, end: content.length }) =>
            Promise.resolve(Readable.from([content.subarray(range.start, range.end)], { objectMode: false })),
          ...body,
        })
      return { ...repository, blobs: { ...repository.blobs, open } }
    },
  })
}

async function startWith(t: Test, origin: 'inmemory' | 'filesystem' | 'fill') {
  const options: AppOptions = origin === 'fill' ? { wrap: withBlob({}) } : { driver: origin }
  const app = await startApp(t, options)
  if (origin !== 'fill') await pushBlob(app.url, 'foo', content)
  return app
}

for (const origin of [...driverKinds, 'fill'] as const) {
  t.test(`several ranges are sent as one body of exact length (${origin})`, async t => {
    const { url } = await startWith(t, origin)
    const table: readonly (readonly [header: string, ranges: readonly (readonly [number, number])[]])[] = [
      ['bytes=0-0,899999-', [[0, 0], [899_999, 899_999]]],
      // A client of zstd:chunked content asks for its table of contents, then for what it lacks.
      ['bytes=899000-899499,899500-899999', [[899_000, 899_499], [899_500, 899_999]]],
      ['bytes=100-70000,200000-350000,500000-800000', [[100, 70_000], [200_000, 350_000], [500_000, 800_000]]],
      ['bytes=-10,0-9', [[899_990, 899_999], [0, 9]]],
      ['bytes=5-9,0-2,8-20', [[5, 20], [0, 2]]],
      ['bytes=0-1,5000000-6000000,4-5', [[0, 1], [4, 5]]],
      [
        `bytes=${Array.from({ length: 16 }, (_, i) => `${i * 1000}-${i * 1000 + 99}`).join(', ')}`,
        Array.from({ length: 16 }, (_, i) => [i * 1000, i * 1000 + 99] as const),
      ],
    ] // prettier-ignore
    for (const [header, ranges] of table) {
      const res = await fetch(url + path, { headers: { Range: header } })

      t.equal(res.status, 206, header)
      t.equal(res.headers.get('content-range'), null)
      t.equal(res.headers.get('docker-content-digest'), digest)
      t.equal(res.headers.get('etag'), `"${digest}"`)
      t.equal(res.headers.get('accept-ranges'), 'bytes')
      t.equal(res.headers.get('content-encoding'), null)
      const length = Number(res.headers.get('content-length'))
      t.equal((await res.clone().arrayBuffer()).byteLength, length)
      const parts = await partsOf(res)
      t.same(
        parts.map(({ range }) => range),
        ranges.map(([first, last]) => `bytes ${first}-${last}/900000`),
      )
      t.ok(parts.every(({ type }) => type === 'application/octet-stream'))
      ranges.forEach(([first, last], i) => {
        t.ok(parts[i]?.body.equals(content.subarray(first, last + 1)), `${header}, part ${i}`)
      })
    }
  })

  t.test(`what comes down to one range or to the whole is no multipart body (${origin})`, async t => {
    const { url } = await startWith(t, origin)
    const whole = [null, 900_000] as const
    const table: readonly (readonly [header: string, range: string | null, length: number])[] = [
      ['bytes=0-5,3-9', 'bytes 0-9/900000', 10],
      ['bytes=1-2,900000-', 'bytes 1-2/900000', 2],
      ['bytes=0-,-1', ...whole],
      ['bytes=0-400000', 'bytes 0-400000/900000', 400_001],
      ['bytes=-1', 'bytes 899999-899999/900000', 1],
      ['bytes=899999-', 'bytes 899999-899999/900000', 1],
      [`bytes=${Array.from({ length: 1025 }, (_, i) => `${i * 10}-${i * 10}`).join()}`, ...whole],
      ['bytes=0-1,9-3', ...whole],
      ['bytes=0-1,x', ...whole],
      [`bytes=${'0-,'.repeat(500)}`, ...whole],
    ]
    for (const [header, range, length] of table) {
      const res = await fetch(url + path, { headers: { Range: header } })

      t.equal(res.status, range === null ? 200 : 206, header)
      t.equal(res.headers.get('content-range'), range)
      t.equal(res.headers.get('content-type'), 'application/octet-stream')
      t.equal(res.headers.get('content-length'), String(length))
      t.equal((await res.arrayBuffer()).byteLength, length)
    }
  })

  t.test(`no range within the content is answered 416 (${origin})`, async t => {
    const { url } = await startWith(t, origin)

    for (const header of ['bytes=900000-', 'bytes=900000-900001,1000000-', 'bytes=-0']) {
      const res = await fetch(url + path, { headers: { Range: header } })

      t.equal(res.status, 416, header)
      t.equal(res.headers.get('content-range'), 'bytes */900000')
      t.equal(res.headers.get('content-type'), 'application/json')
      t.equal(res.headers.get('cache-control'), null)
      t.same(await codesOf(res), ['RANGE_INVALID'])
    }
  })
}

t.test('HEAD ignores Range', async t => {
  const { url } = await startWith(t, 'filesystem')

  for (const range of ['bytes=0-1', 'bytes=0-1,5-6', 'bytes=900000-']) {
    const res = await fetch(url + path, { method: 'HEAD', headers: { Range: range } })

    t.equal(res.status, 200)
    t.equal(res.headers.get('content-length'), '900000')
    t.equal(res.headers.get('content-range'), null)
  }
})

t.test('an empty blob is sent as a whole whatever the range', async t => {
  const { url } = await startApp(t)
  const empty = await pushBlob(url, 'foo', '')

  for (const range of ['bytes=0-', 'bytes=-5', 'bytes=0-1,2-3']) {
    const res = await fetch(`${url}/v2/foo/blobs/${empty}`, { headers: { Range: range } })

    t.equal(res.status, 200, range)
    t.equal(await res.text(), '')
  }
})

t.test('blobs are sent as they are, whatever codings and types a client would take', async t => {
  const { url } = await startWith(t, 'filesystem')

  for (const headers of [
    { 'Accept-Encoding': 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5' },
    { 'Accept-Encoding': 'gzip, identity;q=0' },
    { Accept: 'text/html' },
    { Accept: '*/*;q=0' },
    { Accept: 'application/vnd.oci.image.manifest.v1+json, nonsense' },
  ]) {
    const res = await fetch(url + path, { headers })

    t.equal(res.status, 200)
    t.equal(res.headers.get('content-encoding'), null)
    t.equal(res.headers.get('content-type'), 'application/octet-stream')
    t.ok(Buffer.from(await res.arrayBuffer()).equals(content))
  }
})

t.test('several ranges that break off reset the connection before the final boundary', async t => {
  async function* broken() {
    yield content.subarray(0, 10)
    throw new Error('the content is corrupt')
  }
  let reads = 0
  const reading: readonly (readonly [what: string, second: () => Promise<Readable>])[] = [
    ['fails', () => Promise.resolve(Readable.from(broken(), { objectMode: false }))],
    ['is short', () => Promise.resolve(Readable.from([Buffer.from('short')], { objectMode: false }))],
    ['is long', () => Promise.resolve(Readable.from([Buffer.alloc(200_000)], { objectMode: false }))],
    ['cannot be opened', () => Promise.reject(new Error('gone'))],
  ]
  for (const [what, second] of reading) {
    reads = 0
    const read = (range = { start: 0, end: 0 }) =>
      reads++ === 0
        ? Promise.resolve(Readable.from([content.subarray(range.start, range.end)], { objectMode: false }))
        : second()
    const { port, logLines } = await startApp(t, { wrap: withBlob({ read }) })
    const client = await openSocket(t, port)

    client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\nRange: bytes=0-9,100-100099\r\n\r\n`)
    const { text } = await client.ended()

    t.match(text, /^HTTP\/1\.1 206 /, `the second range ${what}`)
    t.notMatch(text, /--\r\n$/)
    t.notMatch(text, /errors/)
    await until(() => logLines.length > 0)
    t.match(logLines, [{ level: 'error' }])
  }
})

t.test('several ranges of which the first cannot be opened are an ordinary refusal', async t => {
  const { url } = await startApp(t, { wrap: withBlob({ read: () => Promise.reject(new Error('gone')) }) })

  const res = await fetch(url + path, { headers: { Range: 'bytes=0-1,4-5' } })

  t.equal(res.status, 500)
  t.equal(res.headers.get('etag'), null)
  t.same(await codesOf(res), ['UNKNOWN'])
})

t.test('a reader that fails at its first byte leaves nothing of the answer that was begun', async t => {
  const openReader = () =>
    Promise.resolve({
      size: content.length,
      readInto: () => Promise.reject(new Error('the disk is broken')),
      close: () => Promise.resolve(),
    })
  const { url } = await startApp(t, { wrap: withBlob({ openReader, origin: 'store' }) })

  const res = await fetch(url + path, { headers: { Range: 'bytes=0-400000' } })

  t.equal(res.status, 500)
  for (const header of ['etag', 'cache-control', 'content-range', 'docker-content-digest', 'accept-ranges'])
    t.equal(res.headers.get(header), null, header)
  t.same(await codesOf(res), ['UNKNOWN'])
})

t.test('a client that leaves in the middle of several ranges leaves no stream behind', async t => {
  const opened: Readable[] = []
  const read = () => {
    const source = new Readable({ read() {} })
    source.push(Buffer.alloc(10))
    if (opened.push(source) === 1) source.push(null)
    return Promise.resolve(source)
  }
  const { port } = await startApp(t, { wrap: withBlob({ read }) })
  const client = await openSocket(t, port)

  client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\nRange: bytes=0-9,100-100099\r\n\r\n`)
  await until(() => opened.length === 2)
  client.socket.destroy()

  await until(() => opened.every(source => source.destroyed))
  t.equal(opened.length, 2)
})
