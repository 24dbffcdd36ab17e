// POST that makes a blob without a session of its own: whole blobs, and mounts.
import t from 'tap'
import { layout } from '../../../lib/storage/layout.ts'
import { codesOf, locationOf, pushBlob, sha256, startApp } from '../../support/http-client.ts'
import { filesIn } from '../../support/stores.ts'

const content = 'hello upload'
const digest = sha256(content)

t.test('POST ?digest= refuses content that does not match and leaves nothing behind', async t => {
  const { url, driver } = await startApp(t)
  const post = (query: string) =>
    fetch(`${url}/v2/foo/blobs/uploads/?${query}`, { method: 'POST', body: content })

  for (const query of [`digest=${sha256('other')}`, 'digest=sha256:abc']) {
    const res = await post(query)
    t.equal(res.status, 400, query)
    t.same(await codesOf(res), ['DIGEST_INVALID'])
  }
  t.same(await filesIn(driver), [], `nothing below ${layout.root}`)
})

t.test('POST ?digest= makes a blob of its body', async t => {
  const { url } = await startApp(t)

  const res = await fetch(`${url}/v2/foo/blobs/uploads/?digest=${digest}`, { method: 'POST', body: content })

  t.equal(res.status, 201)
  t.equal(res.headers.get('location'), `${url}/v2/foo/blobs/${digest}`)
  t.equal(res.headers.get('docker-content-digest'), digest)
  t.equal(await (await fetch(locationOf(res))).text(), content)
})

t.test('POST ?mount= falls back to a session whenever it cannot mount', async t => {
  const { url } = await startApp(t)
  await pushBlob(url, 'source', content)
  const queries = [
    `mount=${digest}`,
    `mount=${digest}&from=unknown`,
    `mount=${digest}&from=..%2F..`,
    `mount=${sha256('unknown')}&from=source`,
    'mount=sha256:abc&from=source',
    'mount=&from=source',
    'from=source',
  ]
  for (const query of queries) {
    const res = await fetch(`${url}/v2/foo/blobs/uploads/?${query}`, { method: 'POST' })
    t.equal(res.status, 202, query)
    t.match(locationOf(res), /uploads\/.+_state=/, query)
  }
})

t.test('POST ?mount= falls back to a session, and says so, when the store fails', async t => {
  const { url, logLines } = await startApp(t, {
    wrap: local => ({
      ...local,
      repository: name => {
        const repository = local.repository(name)
        const { uploads } = repository
        return {
          ...repository,
          uploads: uploads && { ...uploads, mount: () => Promise.reject(new Error('the disk is gone')) },
        }
      },
    }),
  })

  const res = await fetch(`${url}/v2/foo/blobs/uploads/?mount=${digest}&from=source`, { method: 'POST' })

  t.equal(res.status, 202)
  t.match(logLines, [{ level: 'warning', err: { message: 'the disk is gone' } }])
})

t.test('POST ?mount= links a blob of another repository', async t => {
  const { url } = await startApp(t)
  await pushBlob(url, 'some/source', content)

  const res = await fetch(`${url}/v2/foo/blobs/uploads/?mount=${digest}&from=some%2Fsource`, {
    method: 'POST',
  })

  t.equal(res.status, 201)
  t.equal(res.headers.get('location'), `${url}/v2/foo/blobs/${digest}`)
  t.equal(res.headers.get('docker-content-digest'), digest)
  t.equal(res.headers.get('content-length'), '0')
  t.equal(await (await fetch(locationOf(res))).text(), content)
})

t.test('uploads are refused by a registry that takes none', async t => {
  const { url } = await startApp(t, {
    wrap: local => ({
      ...local,
      repository: name => ({ ...local.repository(name), uploads: undefined }),
    }),
  })
  const session = `${url}/v2/foo/blobs/uploads/00000000-0000-4000-8000-000000000000`

  for (const [method, address] of [
    ['POST', `${url}/v2/foo/blobs/uploads/`],
    ['GET', session],
    ['PATCH', session],
    ['PUT', session],
  ] as const) {
    const res = await fetch(address, { method })
    t.equal(res.status, 405, method)
    t.same(await codesOf(res), ['UNSUPPORTED'])
  }
})
