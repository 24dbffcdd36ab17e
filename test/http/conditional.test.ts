import t, { type Test } from 'tap'
import { codesOf, pushBlob, pushImage, sha256, startApp } from '../support/http-client.ts'

/** A blob and a manifest that are there. */
async function startWithContent(t: Test) {
  const { url } = await startApp(t)
  const blob = await pushBlob(url, 'foo', 'the content of a blob')
  const { digest: manifest } = await pushImage(url, 'foo', 'v1')
  const all = [
    { what: 'blob', url: `${url}/v2/foo/blobs/${blob}`, digest: blob },
    { what: 'manifest by tag', url: `${url}/v2/foo/manifests/v1`, digest: manifest },
    { what: 'manifest by digest', url: `${url}/v2/foo/manifests/${manifest}`, digest: manifest },
  ]
  return { all, blobUrl: `${url}/v2/foo/blobs/${blob}`, blob }
}

const other = sha256('another')

t.test('isNotModified() answers 412 with an error body where If-Match does not hold', async t => {
  for (const { what, url, digest } of (await startWithContent(t)).all) {
    for (const header of [
      `"${other}"`,
      `W/"${digest}"`,
      '""',
      'W/"x", "y"',
      `"${digest}, x"`,
      `"${digest}`,
    ]) {
      const res = await fetch(url, { headers: { 'If-Match': header } })
      const head = await fetch(url, { method: 'HEAD', headers: { 'If-Match': header } })

      t.equal(res.status, header === `"${digest}` ? 200 : 412, `${what}, ${header}`)
      t.equal(head.status, res.status)
      t.equal(res.headers.get('etag'), `"${digest}"`)
      if (res.status !== 412) continue
      t.equal(res.headers.get('content-type'), 'application/json')
      t.same(await codesOf(res), ['UNSUPPORTED'])
      t.equal(await head.text(), '')
    }
  }
})

t.test('isNotModified() serves what If-Match lists', async t => {
  for (const { what, url, digest } of (await startWithContent(t)).all) {
    for (const header of [`"${digest}"`, digest, '*', `"x","y" ,"${digest}"`, `W/"a,b", "${digest}"`]) {
      const res = await fetch(url, { headers: { 'If-Match': header } })

      t.equal(res.status, 200, `${what}, ${header}`)
      await res.arrayBuffer()
    }
  }
})

t.test('isNotModified() answers 304 to what If-None-Match lists, weak tags too', async t => {
  for (const { what, url, digest } of (await startWithContent(t)).all) {
    const table: readonly (readonly [header: string, status: number])[] = [
      [`"${digest}"`, 304],
      [`W/"${digest}"`, 304],
      [digest, 304],
      ['*', 304],
      [` , "x", W/"${digest}",, "y"`, 304],
      [`"a,b",W/"c,",  "${digest}"`, 304],
      [`"${other}"`, 200],
      [`"x,${digest},y"`, 200],
      ['"*"', 200],
      ['"x", *', 200],
      ['', 200],
      [`w/"${other}"`, 200],
    ]
    for (const [header, status] of table) {
      for (const method of ['GET', 'HEAD']) {
        const res = await fetch(url, { method, headers: { 'If-None-Match': header } })

        t.equal(res.status, status, `${method} ${what}, ${header}`)
        t.equal(res.headers.get('etag'), `"${digest}"`)
        t.equal(res.headers.get('docker-content-digest'), digest)
        t.equal(res.headers.get('cache-control'), what === 'blob' ? 'max-age=31536000' : null)
        if (status === 304) t.equal(res.headers.get('content-length'), null)
        await res.arrayBuffer()
      }
    }
  }
})

t.test('isNotModified() looks at If-Match first, and at no date', async t => {
  const { blobUrl: url, blob: digest } = await startWithContent(t)
  const future = 'Fri, 01 Jan 2100 00:00:00 GMT'
  const past = 'Sat, 01 Jan 2000 00:00:00 GMT'
  const table: readonly (readonly [headers: Record<string, string>, status: number])[] = [
    [{ 'If-Match': `"${other}"`, 'If-None-Match': `"${digest}"` }, 412],
    [{ 'If-Match': `"${digest}"`, 'If-None-Match': `"${digest}"` }, 304],
    [{ 'If-Match': `"${digest}"`, 'If-None-Match': `"${other}"` }, 200],
    [{ 'If-None-Match': `"${digest}"`, Range: 'bytes=0-2' }, 304],
    [{ 'If-None-Match': `"${digest}"`, Range: 'bytes=99-' }, 304],
    [{ 'If-Match': `"${other}"`, Range: 'bytes=99-' }, 412],
    [{ 'If-Match': `"${digest}"`, Range: 'bytes=99-' }, 416],
    [{ 'If-Match': `"${digest}"`, Range: 'bytes=0-2' }, 206],
    [{ 'If-Modified-Since': future }, 200],
    [{ 'If-Unmodified-Since': past }, 200],
  ]
  for (const [headers, status] of table) {
    const res = await fetch(url, { headers })

    t.equal(res.status, status, JSON.stringify(headers))
    t.equal(res.headers.get('last-modified'), null)
    await res.arrayBuffer()
  }
})

t.test('isNotModified() does not turn an unknown digest into 412 or 304', async t => {
  const { url } = await startApp(t)

  for (const headers of [{ 'If-Match': '*' }, { 'If-None-Match': '*' }]) {
    t.equal((await fetch(`${url}/v2/foo/blobs/${other}`, { headers })).status, 404)
    t.equal((await fetch(`${url}/v2/foo/manifests/v1`, { headers })).status, 404)
  }
})

t.test('isRangeWelcome() takes our own strong tag and nothing else', async t => {
  const { blobUrl: url, blob: digest } = await startWithContent(t)
  const table: readonly (readonly [condition: string, status: number])[] = [
    [`"${digest}"`, 206],
    [`W/"${digest}"`, 200],
    [`"${other}"`, 200],
    [`"${digest}", "${digest}"`, 200],
    ['*', 200],
    ['Fri, 01 Jan 2100 00:00:00 GMT', 200],
    ['Sat, 01 Jan 2000 00:00:00 GMT', 200],
  ]
  for (const [condition, status] of table) {
    const res = await fetch(url, { headers: { Range: 'bytes=0-2', 'If-Range': condition } })

    t.equal(res.status, status, condition)
    t.equal(await res.text(), status === 206 ? 'the' : 'the content of a blob')
  }
  const beyond = await fetch(url, { headers: { Range: 'bytes=99-', 'If-Range': '"x"' } })
  t.equal(beyond.status, 200, 'a range that does not count is not judged')
  await beyond.arrayBuffer()
})
