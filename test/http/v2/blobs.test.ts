import t from 'tap'
import { codesOf, detailOf, pushBlob, sha256, startApp } from '../../support/http-client.ts'

const content = 'the content of a blob'
const absent = sha256('absent')

t.test('GET blob refuses unknown blobs and malformed digests', async t => {
  const { url } = await startApp(t)
  const elsewhere = await pushBlob(url, 'other', content)

  const unknown = await fetch(`${url}/v2/foo/blobs/${absent}`)
  t.equal(unknown.status, 404)
  t.equal(unknown.headers.get('content-type'), 'application/json')
  t.equal(await detailOf(unknown), absent)
  const foreign = await fetch(`${url}/v2/foo/blobs/${elsewhere}`)
  t.equal(foreign.status, 404, 'a blob of another repository')
  t.same(await codesOf(foreign), ['BLOB_UNKNOWN'])
  for (const digest of [
    'sha256:abc',
    'md5:d41d8cd98f00b204e9800998ecf8427e',
    'nonsense',
    absent.toUpperCase(),
  ]) {
    const res = await fetch(`${url}/v2/foo/blobs/${digest}`)
    t.equal(res.status, 400, digest)
    t.same(await codesOf(res), ['DIGEST_INVALID'])
  }
})

t.test('HEAD blob answers an unknown one with headers alone', async t => {
  const { url } = await startApp(t)

  const res = await fetch(`${url}/v2/foo/blobs/${absent}`, { method: 'HEAD' })

  t.equal(res.status, 404)
  t.ok(Number(res.headers.get('content-length')) > 0)
  t.equal(await res.text(), '')
})

t.test('GET and HEAD blob carry the same headers', async t => {
  const { url } = await startApp(t)
  const digest = await pushBlob(url, 'foo/bar', content)

  const get = await fetch(`${url}/v2/foo/bar/blobs/${digest}`)
  const head = await fetch(`${url}/v2/foo/bar/blobs/${digest}`, { method: 'HEAD' })

  t.equal(await get.text(), content)
  t.equal(await head.text(), '')
  for (const { status, headers } of [get, head]) {
    t.equal(status, 200)
    t.equal(headers.get('content-length'), String(content.length))
    t.equal(headers.get('content-type'), 'application/octet-stream')
    t.equal(headers.get('docker-content-digest'), digest)
    t.equal(headers.get('etag'), `"${digest}"`)
    t.equal(headers.get('cache-control'), 'max-age=31536000')
    t.equal(headers.get('accept-ranges'), 'bytes')
  }
})

t.test('GET blob works for an empty blob', async t => {
  const { url } = await startApp(t)
  const digest = await pushBlob(url, 'foo', '')

  const res = await fetch(`${url}/v2/foo/blobs/${digest}`)

  t.equal(res.status, 200)
  t.equal(res.headers.get('content-length'), '0')
  t.equal(await res.text(), '')
})

t.test('GET blob answers 416 to a range beyond the end', async t => {
  const { url } = await startApp(t)
  const digest = await pushBlob(url, 'foo', content)

  const res = await fetch(`${url}/v2/foo/blobs/${digest}`, { headers: { Range: 'bytes=21-' } })

  t.equal(res.status, 416)
  t.equal(res.headers.get('content-range'), 'bytes */21')
  t.same(await codesOf(res), ['RANGE_INVALID'])
})

t.test('GET blob serves one range, and the whole where it need not understand', async t => {
  const { url } = await startApp(t)
  const digest = await pushBlob(url, 'foo', content)
  const table: readonly (readonly [
    headers: Record<string, string>,
    status: number,
    body: string,
    range: string | null,
  ])[] = [
    [{ Range: 'bytes=0-2' }, 206, 'the', 'bytes 0-2/21'],
    [{ Range: 'bytes=4-' }, 206, 'content of a blob', 'bytes 4-20/21'],
    [{ Range: 'bytes=-4' }, 206, 'blob', 'bytes 17-20/21'],
    [{ Range: 'bytes=17-99' }, 206, 'blob', 'bytes 17-20/21'],
    [{ Range: 'bytes=0-20' }, 206, content, 'bytes 0-20/21'],
    [{ Range: 'bytes=0-2', 'If-Range': `"${digest}"` }, 206, 'the', 'bytes 0-2/21'],
    [{ Range: 'bytes=0-2', 'If-Range': '"another"' }, 200, content, null],
    [{ Range: 'bytes=9-3' }, 200, content, null],
    [{ Range: 'lines=0-1' }, 200, content, null],
  ]
  for (const [headers, status, body, range] of table) {
    const res = await fetch(`${url}/v2/foo/blobs/${digest}`, { headers })
    const what = JSON.stringify(headers)
    t.equal(res.status, status, what)
    t.equal(res.headers.get('content-range'), range, what)
    t.equal(res.headers.get('content-length'), String(body.length), what)
    t.equal(await res.text(), body, what)
  }
})

t.test('GET and HEAD blob answer 304 to a client that has it', async t => {
  const { url } = await startApp(t)
  const digest = await pushBlob(url, 'foo', content)
  const table: readonly (readonly [header: string, status: number])[] = [
    [`"${digest}"`, 304],
    [`W/"${digest}"`, 304],
    [`"x", W/"${digest}" , "y"`, 304],
    ['*', 304],
    [digest, 304],
    [`"${absent}"`, 200],
    ['""', 200],
  ]
  for (const method of ['GET', 'HEAD']) {
    for (const [header, status] of table) {
      const res = await fetch(`${url}/v2/foo/blobs/${digest}`, {
        method,
        headers: { 'If-None-Match': header },
      })
      t.equal(res.status, status, `${method} ${header}`)
      t.equal(res.headers.get('etag'), `"${digest}"`)
      await res.arrayBuffer()
    }
  }
})

t.test('GET blob sends a client to the store itself where that is possible', async t => {
  const { url } = await startApp(t, {
    wrap: local => ({
      ...local,
      repository: name => {
        const repository = local.repository(name)
        const location = new URL('https://store.example/blob?signature=x')
        return {
          ...repository,
          blobs: {
            ...repository.blobs,
            open: () => Promise.resolve({ kind: 'redirect' as const, location }),
          },
        }
      },
    }),
  })

  const res = await fetch(`${url}/v2/foo/blobs/${absent}`, { redirect: 'manual' })

  t.equal(res.status, 307)
  t.equal(res.headers.get('location'), 'https://store.example/blob?signature=x')
  t.equal(res.headers.get('content-length'), '0')
  t.equal(res.headers.get('etag'), null)
})

t.test('DELETE blob is refused where deleting is off, and for unknown blobs', async t => {
  const off = await startApp(t, { allowDelete: false })
  const on = await startApp(t)
  const digest = await pushBlob(off.url, 'foo', content)

  const refused = await fetch(`${off.url}/v2/foo/blobs/${digest}`, { method: 'DELETE' })
  const unknown = await fetch(`${on.url}/v2/foo/blobs/${digest}`, { method: 'DELETE' })

  t.equal(refused.status, 405)
  t.same(await codesOf(refused), ['UNSUPPORTED'])
  t.equal(unknown.status, 404)
  t.same(await codesOf(unknown), ['BLOB_UNKNOWN'])
})

t.test('DELETE blob removes it from the repository; pushing it again brings it back', async t => {
  const { url } = await startApp(t)
  const digest = await pushBlob(url, 'foo', content)

  const res = await fetch(`${url}/v2/foo/blobs/${digest}`, { method: 'DELETE' })

  t.equal(res.status, 202)
  t.equal(res.headers.get('content-length'), '0')
  t.equal((await fetch(`${url}/v2/foo/blobs/${digest}`, { method: 'HEAD' })).status, 404)
  await pushBlob(url, 'foo', content)
  t.equal((await fetch(`${url}/v2/foo/blobs/${digest}`, { method: 'HEAD' })).status, 200)
})
