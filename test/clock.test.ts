// Real time passes here, as little as may be: what is tested is the real clock.
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../lib/clock.ts'

t.test('systemClock.sleep() sleeps through more than a timer can hold, until it is aborted', async t => {
  const stopping = new AbortController()
  const warnings: string[] = []
  const warn = ({ name }: Error) => void warnings.push(name)
  process.on('warning', warn)
  t.teardown(() => process.off('warning', warn))
  let hasWoken = false
  const sleeping = systemClock
    .sleep(2 ** 31 + 1, { signal: stopping.signal })
    .finally(() => (hasWoken = true))

  // Node makes one millisecond of what is too long for it.
  await delay(20)

  t.notOk(hasWoken)
  t.same(warnings, [])
  stopping.abort(new Error('stop'))
  await t.rejects(sleeping, { message: 'stop' })
})

t.test('systemClock.sleep() of no time settles', async t => {
  await Promise.all([t.resolves(systemClock.sleep(0)), delay(1)])
})
