// A sort that stops when its caller does.
import fc from 'fast-check'
import t from 'tap'
import { smallestFirst } from '../../lib/eviction/smallest-first.ts'

const compare = (a: number, b: number) => a - b

t.test('smallestFirst() gives everything, in order', async t => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5, max: 5 })), numbers => {
      const sorted = [...smallestFirst([...numbers], compare)]

      return JSON.stringify(sorted) === JSON.stringify(numbers.toSorted(compare))
    }),
  )
  t.pass()
})

t.test('smallestFirst() compares little for who takes little', async t => {
  let comparisons = 0
  const counted = (a: number, b: number) => (comparisons++, a - b)

  for (const one of smallestFirst(
    Array.from({ length: 10_000 }, (_, at) => (at * 7919) % 10_007),
    counted,
  )) {
    if (one > 20) break
  }

  t.ok(comparisons < 30_000, `${comparisons} comparisons`)
})
