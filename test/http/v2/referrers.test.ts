import t from 'tap'
import { digestOf, type Digest } from '../../../lib/oci/digest.ts'
import { mediaTypes } from '../../../lib/oci/media-types.ts'
import { codesOf, putManifest, sha256, startApp } from '../../support/http-client.ts'
import { entryOf, referrerTo } from '../../support/referrers.ts'

const subject = sha256('subject') as Digest
const path = `/v2/foo/bar/referrers/${subject}`
const sorted = (referrers: readonly Buffer[]) =>
  referrers.map(entryOf).toSorted((a, b) => (a.digest < b.digest ? -1 : 1))

async function push(url: string, bytes: Buffer, reference: string = digestOf(bytes)): Promise<Response> {
  const res = await fetch(`${url}/v2/foo/bar/manifests/${reference}`, {
    method: 'PUT',
    body: bytes,
    headers: { 'Content-Type': mediaTypes.ociIndex },
  })
  if (res.status !== 201) throw new Error(`push was answered ${res.status}: ${await res.text()}`)
  return res
}

t.test('GET referrers refuses what is no digest, and methods that change', async t => {
  const { url } = await startApp(t)
  for (const digest of ['latest', 'sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', `${subject}0`]) {
    const res = await fetch(`${url}/v2/foo/referrers/${digest}`)
    t.equal(res.status, 400, digest)
    t.same(await codesOf(res), ['DIGEST_INVALID'])
  }
  const paged = await fetch(`${url}${path}?n=x`)
  t.equal(paged.status, 400)
  t.same(await codesOf(paged), ['PAGINATION_NUMBER_INVALID'])
  const put = await fetch(url + path, { method: 'PUT' })
  t.equal(put.status, 405)
  t.equal(put.headers.get('allow'), 'GET, HEAD')
})

t.test('GET and HEAD referrers of what nothing refers to are an empty index', async t => {
  const { url } = await startApp(t)
  const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] })
  for (const method of ['GET', 'HEAD']) {
    const res = await fetch(url + path, { method })
    t.equal(res.status, 200)
    t.equal(res.headers.get('content-type'), mediaTypes.ociIndex)
    t.equal(res.headers.get('content-length'), String(body.length))
    t.equal(res.headers.get('oci-filters-applied'), null)
    t.equal(res.headers.get('link'), null)
    t.equal(await res.text(), method === 'GET' ? body : '')
  }
})

t.test('PUT manifest with a subject answers OCI-Subject and is listed at once', async t => {
  const { url } = await startApp(t)
  const bytes = referrerTo(subject, 'one')
  for (const reference of [digestOf(bytes), 'a-tag']) {
    t.equal((await push(url, bytes, reference)).headers.get('oci-subject'), subject)
  }
  const plain = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, layers: [] })
  t.equal((await putManifest(url, 'foo/bar', 'plain', plain)).headers.get('oci-subject'), null)

  const res = await fetch(url + path)

  t.same(await res.json(), { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [entryOf(bytes)] })
})

t.test('GET referrers filters by artifactType and says so', async t => {
  const { url } = await startApp(t)
  const sbom = referrerTo(subject, 'sbom', { artifactType: 'application/vnd.example.sbom+json' })
  for (const bytes of [sbom, referrerTo(subject, 'signature')]) await push(url, bytes)
  const table: readonly (readonly [type: string, expected: readonly Buffer[]])[] = [
    ['application/vnd.example.sbom+json', [sbom]],
    ['none', []],
  ]
  for (const [artifactType, expected] of table) {
    const res = await fetch(`${url}${path}?${new URLSearchParams({ artifactType }).toString()}`)
    t.equal(res.headers.get('oci-filters-applied'), 'artifactType')
    t.match(await res.json(), { manifests: sorted(expected) })
  }
  const all = await fetch(`${url}${path}?artifactType=`)
  t.equal(all.headers.get('oci-filters-applied'), null)
  t.equal(((await all.json()) as { manifests: unknown[] }).manifests.length, 2)
})

t.test('GET referrers pages with n and last; Link keeps the filter', async t => {
  const { url } = await startApp(t, { settings: { prefix: '/reg/' } })
  const wanted = [0, 1, 2, 3, 4].map(i => referrerTo(subject, `${i}`, { artifactType: 'a/b+c' }))
  for (const bytes of [...wanted, referrerTo(subject, 'other')]) await push(`${url}/reg`, bytes)

  const seen: unknown[] = []
  const sizes: number[] = []
  let next: string | undefined = `/reg${path}?artifactType=a%2Fb%2Bc&n=2`
  while (next !== undefined) {
    const res = await fetch(url + next)
    t.equal(res.headers.get('oci-filters-applied'), 'artifactType')
    const { manifests } = (await res.json()) as { readonly manifests: readonly unknown[] }
    seen.push(...manifests)
    sizes.push(manifests.length)
    next = /^<(.+)>; rel="next"$/.exec(res.headers.get('link') ?? '')?.[1]
  }

  t.same(sizes, [2, 2, 1])
  t.same(seen, sorted(wanted))
  const none = await fetch(`${url}/reg${path}?n=0`)
  t.match(await none.json(), { manifests: [] })
  t.equal(none.headers.get('link'), null)
})

t.test('GET referrers stays below what clients read, whatever the annotations', async t => {
  const { url } = await startApp(t)
  const large = [0, 1, 2, 3].map(i => referrerTo(subject, `${i}${'ü'.repeat(700_000)}`))
  for (const bytes of large) await push(url, bytes)

  const first = await fetch(url + path)
  const body = Buffer.from(await first.arrayBuffer())
  const link = /^<(.+)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.[1] ?? ''
  const second = (await (await fetch(url + link)).json()) as { readonly manifests: readonly unknown[] }

  t.ok(body.length <= 4 * 1024 * 1024, `${body.length} bytes`)
  t.match(link, /&n=1000$/, 'not as many as happened to fit')
  const { manifests } = JSON.parse(body.toString()) as { readonly manifests: readonly unknown[] }
  t.same([...manifests, ...second.manifests], sorted(large))
})

t.test('a repository may be called referrers', async t => {
  const { url } = await startApp(t)

  const res = await fetch(`${url}/v2/a/referrers/b/referrers/${subject}`)

  t.equal(res.status, 200)
})
