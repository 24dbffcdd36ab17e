import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import {
  candidates,
  historyOf,
  preferred,
  withConfirmation,
  withSaid,
  withSighting,
} from '../../lib/proxy/tag-history.ts'

const [one, two, three] = ['1', '2', '3'].map(text => digestOf(Buffer.from(text))) as [
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
]
const seen = (digest: typeof one, firstSeenMs: number, lastSeenMs = firstSeenMs) => ({
  digest,
  firstSeenMs,
  lastSeenMs,
})
const cooldown = { minAgeMs: 100, auditOnly: false, exempts: () => false }

t.test('preferred() of a record of an earlier version is its digest', async t => {
  t.equal(preferred({ digest: one, checkedAtMs: 7 }, cooldown, 1000), one)
})

t.test('historyOf() makes one for a record of an earlier version', async t => {
  t.same(historyOf({ digest: one, checkedAtMs: 7 }), [seen(one, 7)])
})

t.test('historyOf() has its newest digest seen until the upstream was asked last', async t => {
  const record = { digest: two, checkedAtMs: 90, history: [seen(two, 50), seen(one, 10, 40)] }

  t.same(historyOf(record), [seen(two, 50, 90), seen(one, 10, 40)])
})

t.test('withSighting() puts what is new in front, and keeps since when an old digest is known', async t => {
  const history = [seen(two, 50), seen(one, 10, 40)]

  t.same(withSighting([], one, 5), [seen(one, 5)])
  t.same(withSighting(history, three, 60), [seen(three, 60), ...history])
  t.same(withSighting(history, two, 60), [seen(two, 50, 60), seen(one, 10, 40)])
  t.same(withSighting(history, one, 60), [seen(one, 10, 60), seen(two, 50)])
})

t.test('withSighting() drops what is oldest beyond fifty', async t => {
  let history = withSighting([], one, 0)
  for (let i = 1; i <= 60; i++) history = withSighting(history, digestOf(Buffer.from(`n${i}`)), i)

  t.equal(history.length, 50)
  t.equal(history[0]?.firstSeenMs, 60)
  t.equal(history.at(-1)?.firstSeenMs, 11)
})

t.test('withConfirmation() does not let an earlier version’s digest grow younger', async t => {
  const stored = { digest: one, upstream: 'hub', checkedAtMs: 10 }

  const confirmed = withConfirmation(stored, { ...stored, checkedAtMs: 500 })

  t.equal(confirmed.checkedAtMs, 500)
  t.same(historyOf(confirmed), [seen(one, 10, 500)])
  t.same(withConfirmation(stored, { ...stored, digest: two, checkedAtMs: 500 }), stored, 'of another digest')
  t.same(withConfirmation(stored, undefined), stored)
})

t.test('withSaid() goes on with the history', async t => {
  const before = { digest: one, checkedAtMs: 40, history: [seen(one, 10)] }

  const record = withSaid(before, { digest: two, atMs: 90 }, 'hub')

  t.same(record, {
    digest: two,
    upstream: 'hub',
    checkedAtMs: 90,
    history: [seen(two, 90), seen(one, 10, 40)],
  })
})

for (const [what, history, expected] of [
  ['nothing but the first sighting, as there is nothing else', [seen(one, 1000)], [one]],
  ['the newest that is old enough', [seen(three, 950), seen(two, 900), seen(one, 10)], [two, one, three]],
  ['a digest that came back', [seen(one, 10, 1000), seen(two, 990)], [one, two]],
  [
    'the oldest, where none is old enough',
    [seen(three, 990), seen(two, 980), seen(one, 970)],
    [one, two, three],
  ],
  ['the oldest also where it came back', [seen(one, 970, 1000), seen(two, 990)], [one, two]],
  ['a digest at the very age', [seen(two, 900), seen(one, 10)], [two, one]],
  ['nothing of the future, as the clock was set back', [seen(two, 2000), seen(one, 10)], [one, two]],
] as const) {
  void t.test(`candidates() begin with ${what}`, async t => {
    const record = { digest: history[0].digest, checkedAtMs: history[0].lastSeenMs, history }

    t.same(candidates(record, cooldown, 1000), expected)
    t.equal(preferred(record, cooldown, 1000), expected[0])
    t.same(candidates(record, undefined, 1000), [history[0].digest], 'without a cooldown')
    t.equal(preferred(record, undefined, 1000), history[0].digest)
  })
}
