import fc from 'fast-check'
import t from 'tap'
import { FairLine } from '../../lib/upstream/fair-line.ts'

t.test('FairLine.next() lets parties take turns, each in its own order', async t => {
  const line = new FairLine<string>()
  for (const member of ['a1', 'a2', 'a3', 'b1', 'a4', 'c1', 'c2']) line.add(member.charAt(0), member)

  const served = Array.from({ length: 8 }, () => line.next())

  t.same(served, ['a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'a4', undefined])
  t.equal(line.size, 0)
})

t.test('FairLine.next() serves a party that comes late before another of one that was served', async t => {
  const line = new FairLine<string>()
  for (const member of ['a1', 'a2', 'a3']) line.add('a', member)
  t.equal(line.next(), 'a1')
  line.add('b', 'b1')

  t.same([line.next(), line.next(), line.next()], ['a2', 'b1', 'a3'], 'a was put at the end before b came')
})

t.test('FairLine.remove() takes out one, wherever it stands', async t => {
  const line = new FairLine<string>()
  for (const member of ['a1', 'a2', 'b1']) line.add(member.charAt(0), member)

  t.equal(line.remove('a', 'b1'), false)
  t.equal(line.remove('x', 'a1'), false)
  t.equal(line.remove('a', 'a1'), true)
  t.equal(line.remove('a', 'a1'), false)
  t.equal(line.remove('b', 'b1'), true)
  t.equal(line.size, 1)
  t.same([line.next(), line.next()], ['a2', undefined])
})

t.test('FairLine loses nobody and serves nobody twice', async () => {
  const party = fc.constantFrom('a', 'b', 'c')
  fc.assert(
    fc.property(fc.array(fc.oneof(party, fc.constant('next'), fc.nat(20))), steps => {
      const line = new FairLine<number>()
      const waiting = new Map<number, string>()
      steps.forEach((step, index) => {
        if (step === 'next') {
          const served = line.next()
          if ((served === undefined) !== (waiting.size === 0)) throw new Error('served nobody')
          if (served !== undefined && !waiting.delete(served)) throw new Error('served twice')
        } else if (typeof step === 'number') {
          const party = waiting.get(step)
          if (line.remove(party ?? 'a', step) !== waiting.delete(step)) throw new Error('removed wrongly')
        } else {
          line.add(step, index)
          waiting.set(index, step)
        }
        if (line.size !== waiting.size) throw new Error('counted wrongly')
      })
    }),
  )
})
