import t, { type Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { hexOf, type Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { formatPlatform, machinePlatform } from '../../lib/oci/platform.ts'
import { createWarmer } from '../../lib/proxy/warm.ts'
import type { WarmProgress } from '../../lib/proxy/warm-progress.ts'
import { parseWarmRequest, type WarmWords } from '../../lib/proxy/warm-request.ts'
import { addImage, addIndex } from '../support/images.ts'
import { app, startMirror, type MirrorOptions } from '../support/mirror.ts'
import { referrerTo } from '../support/referrers.ts'
import { until } from '../support/until.ts'

async function start(t: Test, options?: MirrorOptions) {
  const mirror = await startMirror(t, options)
  const warmer = createWarmer({
    repositoryOf: image => mirror.registry.repository(image.repository),
    clock: options?.clock ?? systemClock,
  })
  async function warm(words: Partial<WarmWords>): Promise<WarmProgress[]> {
    const request = parseWarmRequest({ images: [`${app}:v1`], platforms: [], referrers: false, ...words })
    const events: WarmProgress[] = []
    for await (const event of warmer.warm(request)) if (event.kind !== 'bytes') events.push(event)
    await until(() => mirror.fills.list().length === 0)
    return events
  }
  const hasBlob = async (digest: Digest) => (await mirror.stores.blobs.find(digest)) !== undefined
  return { ...mirror, warmer, warm, hasBlob }
}

const kinds = (events: readonly WarmProgress[]) => events.map(({ kind }) => kind)
const failures = (events: readonly WarmProgress[]) =>
  events.flatMap(event => (event.kind === 'failed' ? [`${event.image}: ${event.message}`] : []))

t.test('parseWarmRequest() rejects a wrong image and a wrong platform', async t => {
  const words = { images: ['nginx'], platforms: [], referrers: false }

  t.throws(() => parseWarmRequest({ ...words, images: ['Nginx'] }), { code: 'NAME_INVALID' })
  t.throws(() => parseWarmRequest({ ...words, platforms: ['amd64'] }), SyntaxError)
})

t.test('Warmer.warm() tells of an image that cannot be had, and goes on with the next', async t => {
  const { upstream, warm } = await start(t)
  const { digest } = addImage(upstream, app, 'v1')

  const events = await warm({ images: ['team/none:v1', `${app}:v1`] })

  t.match(failures(events), [/^team\/none:v1: Cannot find manifest "v1"/])
  t.match(events.at(-1), { kind: 'done', image: 'team/app:v1', digest, fetchedBytes: 3100, presentBytes: 0 })
})

t.test('Warmer.warm() fails an image when one of its blobs cannot be had, and keeps the others', async t => {
  const { upstream, warm, hasBlob } = await start(t)
  const { blobs } = addImage(upstream, app, 'v1', [1000, 2000, 3000, 4000])
  const [config, , , last] = blobs as [Digest, Digest, Digest, Digest]
  upstream.removeBlob(app, last)

  const events = await warm({})

  t.match(failures(events), [new RegExp(`^team/app:v1: Cannot find blob "${last}"`)])
  t.ok(await hasBlob(config))
})

t.test(
  'Warmer.warm() fails an image that has none of the wanted platforms, and says which it has',
  async t => {
    const { upstream, warm } = await start(t)
    addIndex(upstream, app, 'v1', ['linux/amd64', 'linux/arm64/v8'])

    const events = await warm({ platforms: ['linux/s390x', 'linux/386'] })

    t.same(failures(events), [
      'team/app:v1: Cannot find linux/s390x or linux/386 in the index: it has linux/amd64, linux/arm64/v8',
    ])
  },
)

t.test('Warmer.warm() fails an image whose content is not what its digest says', async t => {
  const { upstream, warm } = await start(t, { alter: bytes => Buffer.from(bytes).fill(0) })
  addImage(upstream, app, 'v1')

  const events = await warm({})

  t.same(kinds(events).slice(0, 2), ['started', 'resolved'])
  t.equal(failures(events).length, 1)
})

t.test('Warmer.warm() brings manifest, config and layers, and nothing that is here already', async t => {
  const { upstream, warm, hasBlob } = await start(t)
  const { digest, blobs } = addImage(upstream, app, 'v1')

  const first = await warm({})
  const sentBytes = upstream.bytesSent
  const requests = upstream.requests.length
  const again = await warm({})

  t.same(first[0], { kind: 'started', image: 'team/app:v1' })
  t.match(first[1], { kind: 'resolved', digest, missing: [], manifests: 1, blobs: 3, totalBytes: 3100 })
  t.same(kinds(first).slice(2), ['blob', 'blob', 'blob', 'done'])
  for (const blob of blobs) t.ok(await hasBlob(blob))
  t.match(again.at(-1), { kind: 'done', fetchedBytes: 0, presentBytes: 3100 })
  t.same(
    again.flatMap(event => (event.kind === 'blob' ? event.outcome : [])),
    ['present', 'present', 'present'],
  )
  t.equal(upstream.bytesSent, sentBytes)
  t.equal(upstream.requests.length, requests)
})

t.test('Warmer.warm() says when the upstream cannot be asked and a stale image was taken', async t => {
  const { upstream, warm } = await start(t, { tagTtlMs: 0 })
  addImage(upstream, app, 'v1')
  await warm({})

  upstream.failNext({ status: 503, times: 100 })
  const events = await warm({})

  t.match(events[1], { kind: 'resolved', stale: /unavailable/ })
  t.match(events.at(-1), { kind: 'done', presentBytes: 3100 })
})

t.test('Warmer.warm() takes the machine’s platform of an index, those it is told, or all', async t => {
  const mine = formatPlatform(machinePlatform())
  const { upstream, warm, hasBlob } = await start(t)
  const platforms = [mine, 'linux/arm/v7', 'windows/amd64']
  const { images } = addIndex(upstream, app, 'v1', platforms)
  const here = async () => {
    const there = await Promise.all(
      platforms.map(async text => ((await hasBlob(images[text]?.blobs[0] as Digest)) ? [text] : [])),
    )
    return there.flat()
  }

  await warm({})
  t.same(await here(), [mine])
  const events = await warm({ platforms: ['linux/arm', 'linux/mips64le'] })
  t.same(await here(), [mine, 'linux/arm/v7'])
  t.match(events[1], { kind: 'resolved', missing: ['linux/mips64le'], manifests: 2, blobs: 3 })
  await warm({ platforms: ['all'] })
  t.same(await here(), platforms)
})

t.test(
  'Warmer.warm() brings referrers, theirs, and what cosign keeps under tags, where that is wanted',
  async t => {
    const { upstream, warm, hasBlob, local } = await start(t)
    const { digest } = addImage(upstream, app, 'v1')
    const subjectOf = (to: Digest) => ({
      subject: { mediaType: mediaTypes.ociManifest, digest: to, size: 1 },
    })
    const bom = addImage(upstream, app, undefined, [10], subjectOf(digest))
    const signature = addImage(upstream, app, undefined, [20], subjectOf(bom.digest))
    const beyond = addImage(upstream, app, undefined, [30], subjectOf(signature.digest))
    const cosign = addImage(upstream, app, `sha256-${hexOf(digest)}.sig`, [40])
    const has = (image: { readonly blobs: readonly Digest[] }) => hasBlob(image.blobs[1] as Digest)

    const without = await warm({})
    t.match(without[1], { kind: 'resolved', manifests: 1 })
    const events = await warm({ referrers: true })

    t.match(events[1], { kind: 'resolved', digest, manifests: 4 })
    t.same(await Promise.all([bom, signature, cosign, beyond].map(has)), [true, true, true, false])
    t.match(await local.repository(app).manifests.get({ kind: 'digest', digest: bom.digest }), {
      descriptor: { digest: bom.digest },
    })
  },
)

t.test('Warmer.warm() leaves out a referrer that is listed and cannot be had', async t => {
  const { upstream, warm } = await start(t)
  const { digest } = addImage(upstream, app, 'v1')
  const gone = upstream.addManifest(app, undefined, referrerTo(digest, 'gone'), mediaTypes.ociIndex)
  upstream.failNext({ status: 404, times: 10, match: new RegExp(`manifests/${gone}`) })

  const events = await warm({ referrers: true })

  t.match(events.at(-1), { kind: 'done', digest })
})

t.test('Warmer.warm() ends with the signal’s reason, and leaves a fill that has begun to itself', async t => {
  const { upstream, warmer, fills } = await start(t)
  addImage(upstream, app, 'v1', [500_000])
  const leaving = new AbortController()
  const events: WarmProgress[] = []
  upstream.hold(0)

  const request = parseWarmRequest({ images: [`${app}:v1`, `${app}:v2`], platforms: [], referrers: false })
  const warming = (async () => {
    for await (const event of warmer.warm(request, leaving)) events.push(event)
  })()
  await until(() => fills.list().length > 0)
  leaving.abort(new Error('enough'))

  await t.rejects(warming, { message: 'enough' })
  t.same(kinds(events), ['started', 'resolved'])
  t.ok(fills.list().length > 0)
  upstream.release()
  await until(() => fills.list().length === 0)
})

t.test('Warmer.warm() stops when its reader leaves', async t => {
  const { upstream, warmer } = await start(t)
  addImage(upstream, app, 'v1', [500_000])
  const request = parseWarmRequest({ images: [`${app}:v1`, `${app}:v2`], platforms: [], referrers: false })
  upstream.hold(0)

  for await (const { kind } of warmer.warm(request)) if (kind === 'resolved') break

  t.equal(upstream.count(/v2/), upstream.requests.length)
  t.equal(upstream.count(/manifests\/v2/), 0)
  upstream.release()
})

t.test('Warmer.warm() tells of the bytes on their way', async t => {
  let ticks = 0
  const { upstream, warmer } = await start(t, {
    clock: { now: () => (ticks += 200), sleep: systemClock.sleep.bind(systemClock) },
  })
  addImage(upstream, app, 'v1', [1_000_000])
  const request = parseWarmRequest({ images: [`${app}:v1`], platforms: [], referrers: false })
  const done: number[] = []

  for await (const event of warmer.warm(request)) if (event.kind === 'bytes') done.push(event.doneBytes)

  t.ok(done.length > 0)
  t.same(
    done,
    done.toSorted((a, b) => a - b),
  )
})
