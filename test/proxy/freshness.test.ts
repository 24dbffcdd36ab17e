import t from 'tap'
import { parseTag } from '../../lib/oci/reference.ts'
import { defaultFreshness, judge, ttlOf } from '../../lib/proxy/freshness.ts'

const now = 1_000_000

for (const [what, checkedAtMs, ttlMs, expected] of [
  ['missing without a check', undefined, 1000, 'missing'],
  ['missing without a check, although nothing is fresh for ever', undefined, Infinity, 'missing'],
  ['fresh at the moment of the check', now, 1000, 'fresh'],
  ['fresh just before its time is over', now - 999, 1000, 'fresh'],
  ['to be revalidated when its time is over', now - 1000, 1000, 'revalidate'],
  ['to be revalidated long after', 0, 1000, 'revalidate'],
  ['to be revalidated always where the time is 0', now, 0, 'revalidate'],
  ['to be revalidated when the check lies in the future', now + 1, 1000, 'revalidate'],
  ['to be revalidated when the check lies far in the future', now + 1e9, Infinity, 'revalidate'],
  ['to be revalidated when the check is no time', NaN, 1000, 'revalidate'],
] as const) {
  void t.test(`judge() calls a tag ${what}`, async t => {
    t.equal(judge(checkedAtMs === undefined ? undefined : { checkedAtMs }, ttlMs, now), expected)
  })
}

t.test('ttlOf() is that of the first rule that matches, else the common one', async t => {
  const policy = {
    ...defaultFreshness(1000),
    rules: [
      { matches: (tag: string) => tag.startsWith('v'), ttlMs: Infinity },
      { matches: (tag: string) => tag.endsWith('-nightly'), ttlMs: 10 },
      { matches: () => false, ttlMs: 5 },
    ],
  }

  t.equal(ttlOf(policy, parseTag('latest')), 1000)
  t.equal(ttlOf(policy, parseTag('main-nightly')), 10)
  t.equal(ttlOf(policy, parseTag('v1-nightly')), Infinity)
})

t.test('defaultFreshness() is what the documentation says', async t => {
  t.same(defaultFreshness(), {
    ttlMs: 60_000,
    rules: [],
    revalidation: 'first',
    patienceMs: 1000,
    whenDeleted: 'pass',
    negativeTtlMs: 30_000,
    cooldown: undefined,
  })
})
