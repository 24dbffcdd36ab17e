import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { inParallel } from '../lib/in-parallel.ts'

t.test(
  'inParallel() throws the first failure when nothing is under way any more, and begins nothing new',
  async t => {
    let underWay = 0
    const begun: number[] = []
    const working = inParallel(2, [0, 1, 2, 3, 4], async item => {
      begun.push(item)
      underWay++
      await turn()
      if (item === 1) {
        underWay--
        throw new Error('failed')
      }
      await turn()
      underWay--
    })

    await t.rejects(working, { message: 'failed' })
    t.equal(underWay, 0)
    t.same(begun, [0, 1])
  },
)

t.test('inParallel() keeps the order and the limit', async t => {
  let underWay = 0
  let most = 0
  const results = await inParallel(3, [5, 1, 4, 2, 3, 0], async item => {
    most = Math.max(most, ++underWay)
    for (let i = 0; i < item; i++) await turn()
    underWay--
    return item * 2
  })

  t.same(results, [10, 2, 8, 4, 6, 0])
  t.equal(most, 3)
  t.same(await inParallel(0, [1], async item => item), [1], 'at least one at a time')
  t.same(await inParallel(3, [], async item => item), [])
})
