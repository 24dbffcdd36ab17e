// Referrers of a mirrored repository: the union of what is here and what the upstream says, or last said.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference } from '../../lib/oci/reference.ts'
import { referrersTag } from '../../lib/oci/referrers-tag.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, startMirror, type Mirror } from '../support/mirror.ts'
import { entryOf, fallbackIndex, referrerTo } from '../support/referrers.ts'

const subject = digestOf(Buffer.from('subject'))
const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(i => referrerTo(subject, String(i)))
const [one, two, three] = all as [Buffer, Buffer, Buffer]
const questions = /^GET .*\/referrers\//
const entriesOf = (...referrers: readonly Buffer[]) =>
  referrers.map(entryOf).toSorted((a, b) => (a.digest < b.digest ? -1 : 1))

async function push({ registry }: Mirror, bytes: Buffer, name = app): Promise<void> {
  await registry.repository(name).manifests.put(bytes, mediaTypes.ociIndex, digestReference(digestOf(bytes)))
}

function add({ upstream }: Mirror, ...referrers: readonly Buffer[]): void {
  for (const bytes of referrers) upstream.addManifest(app, undefined, bytes, mediaTypes.ociIndex)
}

t.test('list() is the union of what is here and what the upstream has', async t => {
  const mirror = await startMirror(t, { pageSize: 1 })
  add(mirror, one, two)
  await push(mirror, two)
  await push(mirror, three)

  t.same(await mirror.repository.referrers.list(subject, {}, {}), {
    items: entriesOf(one, two, three),
    more: false,
    cache: 'MISS',
    ageMs: 0,
  })
})

t.test('list() describes what is here by its own bytes', async t => {
  const mirror = await startMirror(t, { referrersApi: false })
  const [told] = entriesOf(one)
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [{ ...told, artifactType: 'lie' }],
  }
  mirror.upstream.addManifest(app, referrersTag(subject), index, mediaTypes.ociIndex)
  const list = async () => (await mirror.repository.referrers.list(subject, {}, {})).items

  t.match(await list(), [{ artifactType: 'lie' }])
  await push(mirror, one)

  t.same(await list(), entriesOf(one))
})

t.test('list() takes the fallback tag of an upstream without the API', async t => {
  const mirror = await startMirror(t, { referrersApi: false })
  mirror.upstream.addManifest(app, referrersTag(subject), fallbackIndex([one, two]), mediaTypes.ociIndex)

  t.same((await mirror.repository.referrers.list(subject, {}, {})).items, entriesOf(one, two))
})

t.test('list() filters and pages the union', async t => {
  const mirror = await startMirror(t)
  const sboms = [0, 1, 2].map(i => referrerTo(subject, `sbom ${i}`, { artifactType: 'sbom' }))
  for (const [i, bytes] of [...all, ...sboms].entries()) {
    if (i % 2 === 0) add(mirror, bytes)
    if (i % 3 !== 1) await push(mirror, bytes)
    if (i % 2 !== 0 && i % 3 === 1) add(mirror, bytes)
  }

  t.same(
    (await mirror.repository.referrers.list(subject, { artifactType: 'sbom' }, {})).items,
    entriesOf(...sboms),
  )
  for (const limit of [1, 2, 3, 5, 13]) {
    const seen: unknown[] = []
    let after: string | undefined
    for (let more = true; more;) {
      const page = await mirror.repository.referrers.list(subject, {}, { limit, after })
      t.ok(page.items.length <= limit && (page.items.length > 0 || !page.more))
      seen.push(...page.items)
      after = page.items.at(-1)?.digest
      more = page.more
    }
    t.same(seen, entriesOf(...all, ...sboms), `${limit} a page`)
  }
})

t.test('list() merges both names of an official image', async t => {
  const mirror = await startMirror(t, { upstreamHost: 'docker.io' })
  const short = parseRepositoryName('nginx')
  const long = parseRepositoryName('library/nginx')
  mirror.upstream.addManifest(long, undefined, one, mediaTypes.ociIndex)
  await push(mirror, two, short)
  await push(mirror, three, long)

  const { items } = await mirror.registry.repository(short).referrers.list(subject, {}, {})

  t.same(items, entriesOf(one, two, three))
})

t.test('list() asks again after the time of tags, once for all who wait', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  add(mirror, one)
  const list = async () => (await mirror.repository.referrers.list(subject, {}, {})).items
  await Promise.all([list(), list(), list()])
  add(mirror, two)
  t.same(await list(), entriesOf(one))
  t.equal(mirror.upstream.count(questions), 1)

  clock.advance(60_000)

  t.same(await list(), entriesOf(one, two))
  t.equal(mirror.upstream.count(questions), 2)
})

t.test(
  'list() covers trouble with what the upstream said last, else with what is here, and says so',
  async t => {
    const mirror = await startMirror(t, { tagTtlMs: 0 })
    const list = () => mirror.repository.referrers.list(subject, {}, {})
    await push(mirror, one)
    mirror.upstream.failNext({ status: 503 })
    t.match(await list(), { items: entriesOf(one), stale: /^upstream .* unavailable$/ })

    add(mirror, two)
    t.match(await list(), { items: entriesOf(one, two), cache: 'MISS', stale: undefined })
    mirror.upstream.failNext({ status: 'reset', times: 2 })
    t.match(await list(), { items: entriesOf(one, two), stale: /unavailable/ })
  },
)

t.test('list() of a repository that the upstream refuses to show is what is here', async t => {
  const mirror = await startMirror(t)
  await push(mirror, one)
  mirror.upstream.failNext({ status: 401, times: 2 })

  t.strictSame(await mirror.repository.referrers.list(subject, {}, {}), {
    items: entriesOf(one),
    more: false,
  })
})

t.test('list() keeps showing a referrer that was pulled, without the upstream', async t => {
  const mirror = await startMirror(t, { tagTtlMs: 0 })
  add(mirror, one)
  await mirror.repository.manifests.get(digestReference(digestOf(one)))
  mirror.upstream.failNext({ status: 503, times: 9 })

  t.match(await mirror.repository.referrers.list(subject, {}, {}), {
    items: entriesOf(one),
    stale: /unavailable/,
  })
})
