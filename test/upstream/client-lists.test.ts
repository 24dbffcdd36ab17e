// Tags and referrers of an upstream: all pages, within bounds, and what registries without the referrers API keep.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { referrersTag } from '../../lib/oci/referrers-tag.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { withCircuit } from '../../lib/upstream/circuit.ts'
import { entryOf, fallbackIndex, referrerTo } from '../support/referrers.ts'
import { silentLogger, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const subject = digestOf(Buffer.from('subject'))
const referrers = [0, 1, 2, 3, 4].map(i => referrerTo(subject, String(i)))
const empty = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }
const byDigest = (a: { readonly digest: string }, b: { readonly digest: string }) =>
  a.digest < b.digest ? -1 : 1

t.test('tags() and referrers() tell in their errors what an upstream answered', async t => {
  const { fake, client } = await startClient(t)
  const cases = [
    [403, 'denied'],
    [429, 'limited'],
    [500, 'unavailable'],
    [418, 'invalid'],
  ] as const
  for (const [status, failure] of cases) {
    fake.failNext({ status, times: 2 })
    await t.rejects(client.tags(name), upstreamError(failure, { status }), `tags: ${status}`)
    await t.rejects(
      client.referrers(name, subject),
      upstreamError(failure, { status }),
      `referrers: ${status}`,
    )
  }
  await t.rejects(client.tags(name), upstreamError('unknown', { status: 404 }))
})

t.test('tags() and referrers() read all pages', async t => {
  const { fake, client, counted } = await startClient(t, { pageSize: 2, auth: 'bearer' })
  for (const bytes of referrers) fake.addManifest(name, undefined, bytes, mediaTypes.ociIndex)
  for (const tag of ['c', 'a', 'b', 'd', 'not/a tag']) fake.addManifest(name, tag, empty, mediaTypes.ociIndex)

  t.same(await client.tags(name), ['c', 'a', 'b', 'd'])
  t.same(
    (await client.referrers(name, subject)).toSorted(byDigest),
    referrers.map(entryOf).toSorted(byDigest),
  )
  t.same(await counted('tags'), { 200: 3, 401: 1 })
  t.same(await counted('referrers'), { 200: 3 })
  t.equal(fake.requests.find(one => one.path.includes('/referrers/'))?.headers.accept, mediaTypes.ociIndex)
})

t.test('tags() refuses a list without end, and one that goes on elsewhere', async t => {
  const { fake, client } = await startClient(t)
  const table: readonly (readonly [link: string, problem: RegExp])[] = [
    [`</v2/${name}/tags/list?n=1000>; rel="next"`, /no end/],
    ['<http://127.0.0.1:1/v2/x/tags/list>; rel="next"', /another origin/],
    ['<//elsewhere.example/v2/x/tags/list>; rel=next', /another origin/],
    ['<http://[>; rel="last next"', /another origin/],
  ]
  for (const [Link, message] of table) {
    fake.failNext({ status: 200, headers: { Link } })
    await t.rejects(client.tags(name), { ...upstreamError('invalid'), message }, Link)
  }
  fake.failNext({ status: 200, headers: { Link: `</v2/${name}/tags/list?n=1>; rel="next"` } })
  fake.failNext({ status: 200, headers: { Link: `</v2/${name}/tags/list?n=2>; rel="next"` } })
  fake.failNext({ status: 200, headers: { Link: `</v2/${name}/tags/list?n=1>; rel="next"` } })
  await t.rejects(client.tags(name), upstreamError('invalid'), 'in a circle')
})

t.test('tags() takes no other link for the next page, and no other document for a list', async t => {
  const { fake, client } = await startClient(t)
  fake.addManifest(name, 'latest', empty, mediaTypes.ociIndex)
  for (const Link of [
    '<http://elsewhere.example/>; rel="prev"',
    '</x>; rel="first", </y>; rel=last',
    'nonsense',
  ]) {
    fake.failNext({ status: 200, headers: { Link } })
    t.same(await client.tags(name), [], Link)
  }
  fake.addManifest(name, 'list', Buffer.from('<html>'), 'text/html')
  fake.failNext({ status: 302, headers: { Location: `/v2/${name}/manifests/list` } })
  await t.rejects(client.tags(name), upstreamError('invalid'))
  fake.failNext({ status: 302, headers: { Location: `/v2/${name}/manifests/list` } })
  fake.addManifest(name, 'list', Buffer.from('{"tags":[1]}'), 'application/json')
  await t.rejects(client.tags(name), upstreamError('invalid'))
})

t.test('tags() bounds what it reads', async t => {
  const { fake, client } = await startClient(t)
  fake.addManifest(name, 'list', { tags: ['x'.repeat(9 * 1024 * 1024)] }, 'application/json')
  fake.failNext({ status: 302, headers: { Location: `/v2/${name}/manifests/list` } })

  await t.rejects(client.tags(name), upstreamError('invalid'))
})

t.test('referrers() reads the fallback tag where there is no API', async t => {
  const { fake, client } = await startClient(t)
  const expected = referrers.map(entryOf)
  for (const status of [400, 404, 405, 406, 410, 501]) {
    fake.failNext({ status })
    t.same(await client.referrers(name, subject), [], `${status}, and no tag`)
    fake.addManifest(name, referrersTag(subject), fallbackIndex(referrers), mediaTypes.ociIndex)
    fake.failNext({ status })
    t.same(await client.referrers(name, subject), expected, String(status))
    fake.removeManifest(name, referrersTag(subject))
  }

  fake.addManifest(name, referrersTag(subject), { schemaVersion: 2, layers: [] })
  t.same((await client.referrers(name, subject)).length, 0, 'a manifest is no list')
  fake.behaviour.referrersApi = false
  t.same(await client.referrers(name, subject), [], 'a manifest is no list')
})

t.test('referrers() reads the fallback tag where something else answers 200', async t => {
  const { fake, client } = await startClient(t)
  fake.addManifest(name, referrersTag(subject), fallbackIndex(referrers), mediaTypes.ociIndex)
  const pages: readonly (readonly [content: Uint8Array | object, mediaType: string])[] = [
    [Buffer.from('<html>'), 'text/html'],
    [{ errors: [] }, 'application/json'],
    [{ manifests: [] }, 'application/json'],
  ]
  for (const [content, mediaType] of pages) {
    fake.addManifest(name, 'page', content, mediaType)
    fake.failNext({ status: 302, headers: { Location: `/v2/${name}/manifests/page` } })

    t.equal((await client.referrers(name, subject)).length, referrers.length, JSON.stringify(content))
  }
})

t.test(
  'referrers() leaves out what it could not fetch, and passes the fallback tag’s trouble on',
  async t => {
    const { fake, client } = await startClient(t)
    const [one] = referrers.map(entryOf)
    const strange = [{ ...one, digest: 'blake3:00' }, { ...one, size: -1 }, 'nothing', null]
    fake.addManifest(name, 'page', { ...empty, manifests: [...strange, one] }, mediaTypes.ociIndex)
    fake.failNext({ status: 302, headers: { Location: `/v2/${name}/manifests/page` } })
    t.same(await client.referrers(name, subject), [one])

    fake.failNext({ status: 404 })
    fake.failNext({ status: 429 })
    await t.rejects(client.referrers(name, subject), upstreamError('limited'))
  },
)

t.test('a circuit guards lists as well', async t => {
  const { fake, client, clock } = await startClient(t)
  const guarded = withCircuit(client, { clock, logger: silentLogger(), failures: 1 })
  fake.addManifest(name, 'latest', empty, mediaTypes.ociIndex)
  t.same(await guarded.tags(name), ['latest'])
  t.same(await guarded.referrers(name, subject), [])
  fake.failNext({ status: 'reset', times: 2 })
  await t.rejects(guarded.tags(name), upstreamError('unavailable'))
  const asked = fake.requests.length

  await t.rejects(guarded.tags(name), upstreamError('unavailable'))
  await t.rejects(guarded.referrers(name, subject), upstreamError('unavailable'))
  t.equal(fake.requests.length, asked)
})
