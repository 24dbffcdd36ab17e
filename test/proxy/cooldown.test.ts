// Tags under a cooldown: what is served while their newest digest is too young, and when they move.
import t from 'tap'
import { digestReference, parseTag } from '../../lib/oci/reference.ts'
import type { CooldownEvent } from '../../lib/proxy/held-back.ts'
import { layout } from '../../lib/storage/layout.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { app, startMirror, type Mirror } from '../support/mirror.ts'
import { latest, moveTag, pullTag, pushTag } from '../support/tagged.ts'

const hour = 3_600_000
const cooldown = { minAgeMs: 72 * hour, auditOnly: false, exempts: () => false }

const decisions = ({ events }: Mirror) =>
  events.filter((event): event is CooldownEvent => event.kind === 'cooldown').map(({ outcome }) => outcome)

t.test(
  'a tag seen for the first time is served as it is; then it moves when its digest is old enough',
  async t => {
    const clock = new ManualClock()
    const mirror = await startMirror(t, { clock, freshness: { cooldown } })
    const one = moveTag(mirror, 'one')
    t.match(await pullTag(mirror.repository), { digest: one, cache: 'MISS' })

    clock.advance(hour)
    const two = moveTag(mirror, 'two')
    t.match(await pullTag(mirror.repository), { digest: one })
    t.equal(await mirror.stores.tags.resolve(app, latest), one, 'the link names what is served')
    clock.advance(hour)
    t.match(
      await pullTag(mirror.repository),
      { digest: one, cache: 'REVALIDATED' },
      'known, though held back',
    )
    const gets = mirror.upstream.count(/^GET/)
    clock.advance(71 * hour - 1)
    t.match(await pullTag(mirror.repository), { digest: one })
    clock.advance(1)
    t.match(await pullTag(mirror.repository), { digest: two }, 'by the passing of time alone')

    t.equal(await mirror.stores.tags.resolve(app, latest), two)
    t.equal(mirror.upstream.count(/^GET/), gets, 'it was here')
    t.same(decisions(mirror), ['held-back'])
  },
)

t.test('what is held back is served by its digest', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { cooldown } })
  moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  const two = moveTag(mirror, 'two')
  clock.advance(hour)
  await pullTag(mirror.repository)

  const { descriptor } = await mirror.repository.manifests.get(digestReference(two))

  t.equal(descriptor.digest, two)
})

t.test('what is held back stays so over a restart, and a digest that is taken back never shows', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { cooldown } })
  const one = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(hour)
  const poisoned = moveTag(mirror, 'poisoned')
  await pullTag(mirror.repository)

  const restarted = mirror.restart()
  t.match(await pullTag(restarted.repository), { digest: one })
  clock.advance(hour)
  moveTag(mirror, 'one')
  t.match(await pullTag(restarted.repository), { digest: one })
  clock.advance(100 * hour)
  t.match(await pullTag(restarted.repository), { digest: one })

  const { history } = (await restarted.registry.describeTag(app, latest)) ?? {}
  t.match(history, [{ digest: one }, { digest: poisoned }])
})

t.test('a cooldown that is switched off lets the tag move at once', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { cooldown } })
  moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(hour)
  const two = moveTag(mirror, 'two')
  await pullTag(mirror.repository)
  mirror.upstream.failNext({ status: 503, times: 99 })

  const { repository } = mirror.restart({ freshness: { cooldown: undefined } })

  t.match(await pullTag(repository), { digest: two })
  t.equal(await mirror.stores.tags.resolve(app, latest), two)
})

t.test('tags that are exempt, and a cooldown that only watches, hold nothing back', async t => {
  const clock = new ManualClock()
  const exempts = (tag: string) => tag === 'edge'
  const edge = parseTag('edge')
  const mirror = await startMirror(t, {
    clock,
    freshness: { cooldown: { ...cooldown, auditOnly: true, exempts } },
  })
  for (const tag of [latest, edge]) {
    moveTag(mirror, `one ${tag}`, tag)
    await pullTag(mirror.repository, tag)
  }
  clock.advance(hour)

  for (const tag of [latest, edge]) {
    const digest = moveTag(mirror, `two ${tag}`, tag)
    for (let i = 0; i < 3; i++) t.match(await pullTag(mirror.repository, tag), { digest })
  }

  t.same(decisions(mirror), ['audited'])
  t.equal(mirror.logLines.filter(line => line.includes('a cooldown would hold back')).length, 1)
})

t.test('an exempt tag moves under a cooldown that holds others back', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, {
    clock,
    freshness: { cooldown: { ...cooldown, exempts: () => true } },
  })
  moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(hour)
  const digest = moveTag(mirror, 'two')

  t.match(await pullTag(mirror.repository), { digest })
})

t.test(
  'an older digest that has gone from here is fetched, or the next one served that can be had',
  async t => {
    const clock = new ManualClock()
    const mirror = await startMirror(t, { clock, freshness: { cooldown } })
    const one = moveTag(mirror, 'one')
    await pullTag(mirror.repository)
    clock.advance(hour)
    const two = moveTag(mirror, 'two')
    await pullTag(mirror.repository)
    await mirror.stores.manifests.remove(app, two)
    clock.advance(72 * hour)
    mirror.upstream.failNext({ status: 503, match: new RegExp(two) })

    t.match(await pullTag(mirror.repository), { digest: one }, 'its upstream is in trouble')
    clock.advance(60_000)
    t.match(await pullTag(mirror.repository), { digest: two }, 'fetched')
    await mirror.stores.manifests.remove(app, two)
    mirror.upstream.removeManifest(app, two)
    clock.advance(hour)
    const three = moveTag(mirror, 'three')

    t.match(await pullTag(mirror.repository), { digest: one }, 'the newest of those that are there')
    t.not(await mirror.stores.tags.resolve(app, latest), three)
  },
)

t.test('a push to a tag that is held back makes it ours', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { cooldown } })
  moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(hour)
  moveTag(mirror, 'two')
  await pullTag(mirror.repository)

  const { digest } = await pushTag(mirror.repository, 'ours')
  clock.advance(100 * hour)

  t.same(await pullTag(mirror.repository), { digest })
})

t.test('a move under a cooldown that a crash has cut short is gone on with', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { cooldown } })
  const one = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  clock.advance(hour)
  const two = moveTag(mirror, 'two')
  await pullTag(mirror.repository)
  clock.advance(72 * hour)
  await pullTag(mirror.repository)
  // The record says that `two` is served; the link did not get there.
  await mirror.stores.tags.set(app, latest, one)
  mirror.upstream.failNext({ status: 503, times: 99 })

  t.match(await pullTag(mirror.restart().repository), { digest: two })
  t.equal(await mirror.stores.tags.resolve(app, latest), two)
})

t.test('a record of a version without history is read; its digest is as old as the record', async t => {
  const clock = new ManualClock()
  const mirror = await startMirror(t, { clock, freshness: { cooldown } })
  const one = moveTag(mirror, 'one')
  await pullTag(mirror.repository)
  const record = { digest: one, upstream: 'hub', checkedAtMs: clock.now() - 100 * hour }
  await mirror.driver.writeAll(layout.mirroredTag(app, latest), Buffer.from(JSON.stringify(record)))
  const { registry, repository } = mirror.restart()
  t.match(await pullTag(repository), { digest: one, cache: 'REVALIDATED' })

  clock.advance(hour)
  const two = moveTag(mirror, 'two')

  t.match(await pullTag(repository), { digest: one })
  t.match(await registry.describeTag(app, latest), {
    newest: two,
    digest: one,
    history: [
      { digest: two, firstSeenMs: clock.now() },
      { digest: one, firstSeenMs: record.checkedAtMs, lastSeenMs: clock.now() - hour },
    ],
  })
})
