import t from 'tap'
import { stretched, stretchOf } from '../../lib/proxy/governor.ts'

const now = 1_000_000_000
const sixHours = 6 * 60 * 60_000

for (const [what, limit, remaining, agoMs, expected] of [
  ['1 with everything left', 100, 100, 0, 1],
  ['1 with half of it left', 100, 50, 0, 1],
  ['a little more below that', 100, 49, 0, 1.06],
  ['the root of ten half-way', 100, 30, 0, 3.16],
  ['almost ten just above the reserve', 100, 11, 0, 9.44],
  ['ten at the reserve', 100, 10, 0, 10],
  ['endless below the reserve', 100, 9, 0, Infinity],
  ['endless with nothing left', 100, 0, 0, Infinity],
  ['endless with less than nothing left', 100, -5, 0, Infinity],
  ['endless for a limit of one that is used up', 1, 0, 0, Infinity],
  ['smaller as the window passes', 100, 9, sixHours / 10, 5.96],
  ['1 when half of the window has passed', 100, 1, sixHours / 2, 1],
  ['endless with nothing left until the window is over', 100, 0, sixHours - 1, Infinity],
  ['1 when the window is over', 100, 0, sixHours, 1],
  ['1 for a budget of the future, as the clock was set back', 100, 0, -1, 1],
  ['1 for a limit of nothing', 0, 0, 0, 1],
  ['1 for what is no number', NaN, NaN, 0, 1],
] as const) {
  void t.test(`stretchOf() is ${what}`, async t => {
    const budget = { limit, remaining, windowMs: sixHours, observedAtMs: now - agoMs }

    const factor = stretchOf(budget, now)

    t.equal(Number.isFinite(factor) ? Number(factor.toFixed(2)) : factor, expected)
  })
}

t.test('stretchOf() is 1 where the upstream has told of no limit', async t => {
  t.equal(stretchOf(undefined, now), 1)
})

t.test('stretchOf() never falls as the budget does', async t => {
  const factors = Array.from({ length: 101 }, (_, remaining) =>
    stretchOf({ limit: 100, remaining, windowMs: sixHours, observedAtMs: now }, now),
  )

  t.same(
    factors,
    factors.toSorted((a, b) => b - a),
  )
})

t.test('stretched() leaves 0 what it is, unless nothing may be asked', async t => {
  t.equal(stretched(0, 3), 0)
  t.equal(stretched(0, Infinity), Infinity)
  t.equal(stretched(1000, 3), 3000)
  t.equal(stretched(Infinity, 3), Infinity)
})
