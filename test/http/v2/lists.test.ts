import t from 'tap'
import { codesOf, detailOf, pushImage, startApp } from '../../support/http-client.ts'

const tags = ['a', 'b', 'c', 'd']

t.test('GET tags/list refuses a malformed n and unknown repositories', async t => {
  const { url } = await startApp(t)
  await pushImage(url, 'foo', 'a')
  const table: readonly (readonly [n: string, detail: unknown])[] = [
    ['-1', { n: -1 }],
    ['x', { n: 'x' }],
    ['1.5', { n: '1.5' }],
    ['1e3', { n: '1e3' }],
    ['1&n=2', { n: '1,2' }],
  ]
  for (const [n, detail] of table) {
    const res = await fetch(`${url}/v2/foo/tags/list?n=${n}`)
    t.equal(res.status, 400, n)
    t.same(await detailOf(res), detail, n)
  }
  const unknown = await fetch(`${url}/v2/unknown/tags/list`)
  t.equal(unknown.status, 404)
  t.same(await codesOf(unknown), ['NAME_UNKNOWN'])
})

t.test('GET tags/list pages with n and last, and links to the next page', async t => {
  const { url } = await startApp(t, { settings: { maxTags: 3 } })
  for (const tag of tags) await pushImage(url, 'foo/bar', tag)
  const path = '/v2/foo/bar/tags/list'
  const table: readonly (readonly [query: string, page: readonly string[], link: string | null])[] = [
    ['', tags, null],
    ['?n=', tags, null],
    ['?last=', tags, null],
    ['?n=2', ['a', 'b'], `<${path}?last=b&n=2>; rel="next"`],
    ['?n=2&last=b&other=x', ['c', 'd'], `<${path}?last=d&n=2>; rel="next"`],
    ['?n=2&last=d', [], null],
    ['?n=3&last=b', ['c', 'd'], null],
    ['?last=bb', ['c', 'd'], null],
    ['?n=0', [], null],
    ['?n=100', ['a', 'b', 'c'], `<${path}?last=c&n=3>; rel="next"`],
  ]
  for (const [query, page, link] of table) {
    const res = await fetch(url + path + query)
    t.equal(res.status, 200, query)
    t.equal(res.headers.get('content-type'), 'application/json')
    t.equal(res.headers.get('link'), link, query)
    t.same(await res.json(), { name: 'foo/bar', tags: page }, query)
  }
})

t.test('GET tags/list answers [] when the last tag has been deleted', async t => {
  const { url } = await startApp(t)
  await pushImage(url, 'foo', 'a')
  await fetch(`${url}/v2/foo/manifests/a`, { method: 'DELETE' })

  const res = await fetch(`${url}/v2/foo/tags/list`)

  t.same(await res.json(), { name: 'foo', tags: [] })
})

t.test('GET _catalog refuses a malformed n and one above the limit', async t => {
  const { url } = await startApp(t, { settings: { maxCatalogEntries: 5 } })
  const table: readonly (readonly [n: string, detail: unknown])[] = [
    ['6', { n: 6 }],
    ['-1', { n: -1 }],
    ['abc', { n: 'abc' }],
  ]
  for (const [n, detail] of table) {
    const res = await fetch(`${url}/v2/_catalog?n=${n}`)
    t.equal(res.status, 400, n)
    t.same(await detailOf(res), detail, n)
  }
})

t.test('GET _catalog pages with n and last, below a prefix, too', async t => {
  const { url } = await startApp(t, { settings: { maxCatalogEntries: 3, prefix: '/reg/' } })
  for (const name of ['a', 'b/c', 'd', 'e']) await pushImage(`${url}/reg`, name, 'v1')
  const path = '/reg/v2/_catalog'
  const table: readonly (readonly [query: string, page: readonly string[], link: string | null])[] = [
    ['', ['a', 'b/c', 'd'], `<${path}?last=d&n=3>; rel="next"`],
    ['?n=2', ['a', 'b/c'], `<${path}?last=b%2Fc&n=2>; rel="next"`],
    ['?n=2&last=b%2Fc', ['d', 'e'], `<${path}?last=e&n=2>; rel="next"`],
    ['?n=0', [], null],
    ['?n=3&last=e', [], null],
  ]
  for (const [query, page, link] of table) {
    const res = await fetch(url + path + query)
    t.equal(res.status, 200, query)
    t.equal(res.headers.get('link'), link, query)
    t.same(await res.json(), { repositories: page }, query)
  }
})

t.test('GET _catalog of an empty registry is an empty list', async t => {
  const { url } = await startApp(t)

  t.same(await (await fetch(`${url}/v2/_catalog`)).json(), { repositories: [] })
})
