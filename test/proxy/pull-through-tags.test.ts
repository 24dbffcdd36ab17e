// Tag lists of a mirrored repository: the union of what is here and what the upstream says, or last said.
import t from 'tap'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, startMirror, type Mirror } from '../support/mirror.ts'

const lists = /^GET .*\/tags\/list/
const manifest = (note: string) => ({
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [],
  annotations: { note },
})

async function push({ registry }: Mirror, tag: string, name = app): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(manifest(`pushed ${tag}`)))
  await registry.repository(name).manifests.put(bytes, mediaTypes.ociIndex, tagReference(parseTag(tag)))
}

function add({ upstream }: Mirror, ...tags: readonly string[]): void {
  for (const tag of tags) upstream.addManifest(app, tag, manifest(tag), mediaTypes.ociIndex)
}

t.test('list() is NAME_UNKNOWN where neither here nor the upstream has the repository', async t => {
  for (const status of [404, 401, 403]) {
    const mirror = await startMirror(t)
    mirror.upstream.failNext({ status, times: 5 })

    await t.rejects(mirror.repository.tags.list({}), { code: 'NAME_UNKNOWN', detail: { name: app } })
    const asked = mirror.upstream.count(lists)
    await t.rejects(mirror.repository.tags.list({}), { code: 'NAME_UNKNOWN' })
    t.equal(
      mirror.upstream.count(lists) === asked,
      status === 404,
      'a refusal is not remembered: it may heal',
    )
  }
})

t.test('list() throws UpstreamError where there is trouble and nothing is known', async t => {
  const mirror = await startMirror(t)
  mirror.upstream.failNext({ status: 503, times: 5 })

  await t.rejects(mirror.repository.tags.list({}), { name: 'UpstreamError' })
})

t.test('list() shows the tags of a repository that is at the upstream alone', async t => {
  const mirror = await startMirror(t, { pageSize: 2, clock: new ManualClock() })
  add(mirror, 'c', 'a', 'b')

  const fetched = { cache: 'MISS', ageMs: 0 }
  const known = { cache: 'HIT', ageMs: 0 }
  t.same(await mirror.repository.tags.list({}), { items: ['a', 'b', 'c'], more: false, ...fetched })
  t.same(await mirror.repository.tags.list({ limit: 2 }), { items: ['a', 'b'], more: true, ...known })
  t.same(await mirror.repository.tags.list({ limit: 2, after: 'b' }), { items: ['c'], more: false, ...known })
  t.equal(mirror.upstream.count(lists), 2, 'two pages, once')
})

t.test('list() merges pushed and mirrored tags in, each once', async t => {
  const mirror = await startMirror(t)
  add(mirror, 'a', 'c')
  await push(mirror, 'b')
  await push(mirror, 'c')

  t.same((await mirror.repository.tags.list({})).items, ['a', 'b', 'c'])
  await push(mirror, 'd')
  t.same((await mirror.repository.tags.list({})).items, ['a', 'b', 'c', 'd'], 'a push shows at once')
})

t.test('list() merges both names of an official image', async t => {
  const mirror = await startMirror(t, { upstreamHost: 'docker.io' })
  const short = parseRepositoryName('nginx')
  const long = parseRepositoryName('library/nginx')
  mirror.upstream.addManifest(long, 'upstream', manifest('x'), mediaTypes.ociIndex)
  await push(mirror, 'short', short)
  await push(mirror, 'long', long)

  t.same((await mirror.registry.repository(short).tags.list({})).items, ['long', 'short', 'upstream'])
  t.same((await mirror.registry.repository(long).tags.list({})).items, ['long', 'upstream'])
})

t.test('list() asks again after the time of tags, once for all who wait', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  add(mirror, 'a')
  const list = async () => (await mirror.repository.tags.list({})).items
  t.same(await Promise.all([list(), list(), list()]), [['a'], ['a'], ['a']])
  add(mirror, 'b')
  t.same(await list(), ['a'])
  t.equal(mirror.upstream.count(lists), 1)

  clock.advance(60_000)

  t.same(await list(), ['a', 'b'])
  t.equal(mirror.upstream.count(lists), 2)
})

t.test('list() covers trouble with what the upstream said last, and says so', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock })
  add(mirror, 'a')
  await mirror.repository.tags.list({})
  await push(mirror, 'b')
  for (const [status, failure] of [
    [503, 'unavailable'],
    [429, 'limited'],
    [403, 'denied'],
  ] as const) {
    mirror.upstream.failNext({ status })
    clock.advance(70_000)
    t.match(await mirror.repository.tags.list({}), {
      items: ['a', 'b'],
      cache: 'STALE',
      stale: `upstream ${mirror.upstream.url.host} ${failure}`,
    })
  }
  mirror.upstream.failNext({ status: 404 })
  clock.advance(70_000)
  t.strictSame(await mirror.repository.tags.list({}), { items: ['b'], more: false }, 'unknown is an answer')
})

t.test('list() gives what is here where there is trouble from the start, and says so', async t => {
  const mirror = await startMirror(t)
  await push(mirror, 'b')
  mirror.upstream.failNext({ status: 503 })

  t.match(await mirror.repository.tags.list({}), { items: ['b'], stale: /unavailable/ })
  t.strictSame(await mirror.repository.tags.list({}), { items: ['b'], more: false })
})
