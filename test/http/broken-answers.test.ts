// Bodies that break off, and clients that leave: an answer that is not complete must never look so, and nothing may
// stay open behind it.
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { Readable } from 'node:stream'
import t from 'tap'
import { parseDigest } from '../../lib/oci/digest.ts'
import type {
  BlobBody,
  BlobService,
  ManifestService,
  Registry,
  Repository,
} from '../../lib/registry/registry.ts'
import { openSocket, pushBlob, sha256, startApp } from '../support/http-client.ts'
import { hold, openTestDriver } from '../support/stores.ts'
import { until } from '../support/until.ts'

const digest = parseDigest(sha256('whatever'))
const blobPath = `/v2/foo/blobs/${digest}`

/** Puts something else in place of parts of every repository. */
function replacing(change: (repository: Repository) => Partial<Repository>): (local: Registry) => Registry {
  return local => ({
    ...local,
    repository: name => {
      const repository = local.repository(name)
      return { ...repository, ...change(repository) }
    },
  })
}

function withBlob(open: BlobService['open']): (local: Registry) => Registry {
  return replacing(({ blobs }) => ({ blobs: { ...blobs, open } }))
}

function bodyOf(size: number | undefined, origin: 'store' | 'fill', read: () => Readable): BlobBody {
  return { kind: 'bytes', digest, size, origin, read: () => Promise.resolve(read()) }
}

async function* failingAfter(...chunks: readonly string[]) {
  for (const chunk of chunks) yield Buffer.from(chunk)
  throw new Error('the content is corrupt')
}

function openDescriptorsBelow(root: string): number {
  const isBelow = (fd: string) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(root)
    } catch {
      return false
    }
  }
  return fs.readdirSync('/proc/self/fd').filter(isBelow).length
}

t.test('a body that fails midway resets the connection, with a length and without', async t => {
  for (const size of [100_000, undefined]) {
    const { port, logLines } = await startApp(t, {
      wrap: withBlob(() =>
        Promise.resolve(bodyOf(size, 'store', () => Readable.from(failingAfter('some', 'more')))),
      ),
    })
    const client = await openSocket(t, port)

    client.write(`GET ${blobPath} HTTP/1.1\r\nHost: h\r\n\r\n`)
    const { text } = await client.ended()

    t.match(text, /^HTTP\/1\.1 200 /)
    t.notMatch(text, /\r\n0\r\n\r\n$/, 'no final chunk')
    t.notMatch(text, /errors/, 'no error inside the body')
    await until(() => logLines.length > 0)
    t.match(logLines, [{ level: 'error', err: { message: 'the content is corrupt' } }])
  }
})

t.test('a body that fails before its first byte is not an empty answer', async t => {
  for (const origin of ['store', 'fill'] as const) {
    const { url } = await startApp(t, {
      wrap: withBlob(() => Promise.resolve(bodyOf(undefined, origin, () => Readable.from(failingAfter())))),
    })

    await t.rejects(async () => (await fetch(url + blobPath)).text(), origin)
  }
})

t.test('a body shorter or longer than its length resets the connection', async t => {
  for (const size of [100, 3]) {
    const { port } = await startApp(t, {
      wrap: withBlob(() =>
        Promise.resolve(bodyOf(size, 'fill', () => Readable.from([Buffer.from('short')]))),
      ),
    })
    const client = await openSocket(t, port)

    client.write(`GET ${blobPath} HTTP/1.1\r\nHost: h\r\n\r\n`)
    const { text } = await client.ended()

    const [, content = ''] = text.split('\r\n\r\n')
    t.ok(content.length < size, 'the answer is not complete')
  }
})

t.test('small content that is short or fails is an ordinary refusal', async t => {
  for (const read of [() => Readable.from([Buffer.from('short')]), () => Readable.from(failingAfter('so'))]) {
    const { url } = await startApp(t, { wrap: withBlob(() => Promise.resolve(bodyOf(100, 'store', read))) })

    const res = await fetch(url + blobPath)

    t.equal(res.status, 500)
    t.equal(res.headers.get('etag'), null)
  }
})

t.test('a blob that cannot be opened is an ordinary refusal', async t => {
  const { url } = await startApp(t, {
    wrap: withBlob(() =>
      Promise.resolve({
        kind: 'bytes',
        digest,
        size: 5,
        origin: 'store',
        read: () => Promise.reject(new Error('gone')),
      }),
    ),
  })

  const res = await fetch(url + blobPath)

  t.equal(res.status, 500)
  t.equal(res.headers.get('etag'), null)
  t.match(await res.text(), /UNKNOWN/)
})

t.test('a fill has its headers sent before its first byte is there', async t => {
  const body = new Readable({ read() {} })
  const { url } = await startApp(t, {
    wrap: withBlob(() => Promise.resolve(bodyOf(undefined, 'fill', () => body))),
  })

  const res = await fetch(url + blobPath, { headers: { Range: 'bytes=0-1' } })

  t.equal(res.status, 200, 'a range of unknown size is not honoured')
  t.equal(res.headers.get('content-length'), null)
  body.push('late')
  body.push(null)
  t.equal(await res.text(), 'late')
})

t.test('a download stays below the number of listeners at which Node warns of a leak', async t => {
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  t.teardown(() => process.off('warning', warn))
  const { url, server } = await startApp(t, { accessLog: { format: 'combined', write: () => {} } })
  server.on('request', (_req, res) => res.once('close', () => {}))
  const stored = await pushBlob(url, 'foo', 'x')

  await (await fetch(`${url}/v2/foo/blobs/${stored}`)).text()

  t.same(warnings, [])
})

t.test('an aborted download leaves no descriptor open', async t => {
  const root = t.testdir({})
  const { url, port, logLines } = await startApp(t, {
    driver: await openTestDriver(t, 'filesystem', { root }),
  })
  const large = await pushBlob(url, 'foo', randomBytes(32 * 1024 * 1024))

  for (const _ of [1, 2, 3]) {
    const client = await openSocket(t, port)
    client.write(`GET /v2/foo/blobs/${large} HTTP/1.1\r\nHost: h\r\n\r\n`)
    await client.until(text => text.length > 100_000)
    client.socket.destroy()
  }

  await until(() => openDescriptorsBelow(root) === 0)
  t.same(logLines, [], 'a client that leaves is no failure of ours')
})

t.test('a client that leaves while its blob is being opened leaves no stream behind', async t => {
  const opening = hold()
  const asked = hold()
  const body = new Readable({ read() {} })
  const { port } = await startApp(t, {
    wrap: withBlob(async () => {
      asked.release()
      await opening.released
      return bodyOf(100_000, 'store', () => body)
    }),
  })
  const client = await openSocket(t, port)

  client.write(`GET ${blobPath} HTTP/1.1\r\nHost: h\r\n\r\n`)
  await asked.released
  client.socket.destroy()
  await new Promise(resolve => setImmediate(resolve))
  opening.release()

  await until(() => body.destroyed)
  t.ok(body.destroyed)
})

t.test('what a request waits for is told when its client leaves, and the access line says 499', async t => {
  const asked = hold()
  const stuck: ManifestService['get'] = (_reference, options) => {
    asked.release()
    return new Promise((_resolve, reject) => {
      options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error))
    })
  }
  const lines: string[] = []
  const { port } = await startApp(t, {
    accessLog: { format: 'combined', write: line => void lines.push(line) },
    wrap: replacing(({ manifests }) => ({ manifests: { ...manifests, get: stuck } })),
  })
  const client = await openSocket(t, port)

  client.write('GET /v2/foo/manifests/v1 HTTP/1.1\r\nHost: h\r\n\r\n')
  await asked.released
  client.socket.destroy()

  await until(() => lines.length > 0)
  t.match(lines, [/"GET \/v2\/foo\/manifests\/v1 HTTP\/1\.1" 499 0 /])
  t.equal(lines.length, 1)
})
