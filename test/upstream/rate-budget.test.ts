import t from 'tap'
import { RateBudget, type Budget } from '../../lib/upstream/rate-budget.ts'
import { ManualClock } from '../support/manual-clock.ts'

type Headers = Readonly<Record<string, string>>

const hub = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' }

function start() {
  const clock = new ManualClock()
  const changes: Budget[] = []
  const budget = new RateBudget({ clock, onChange: change => changes.push(change) })
  const observe = (headers: Headers) => budget.observe(name => headers[name])
  return { clock, changes, budget, observe }
}

t.test('RateBudget.observe() passes by what does not parse', async t => {
  const cases: readonly Headers[] = [
    {},
    { 'ratelimit-limit': '100;w=21600' },
    { 'ratelimit-remaining': '76;w=21600' },
    { 'ratelimit-limit': '', 'ratelimit-remaining': '' },
    { 'ratelimit-limit': 'many', 'ratelimit-remaining': '7' },
    { 'ratelimit-limit': '-5', 'ratelimit-remaining': '-7' },
    { 'ratelimit-limit': '0', 'ratelimit-remaining': '0' },
    { 'ratelimit-limit': '100', 'ratelimit-remaining': '1e3' },
    { 'ratelimit-limit': '100', 'ratelimit-remaining': '7 of 100' },
    { 'ratelimit-limit': '9'.repeat(400), 'ratelimit-remaining': '1' },
  ]
  for (const headers of cases) {
    const { budget, observe, changes } = start()

    observe(headers)

    t.equal(budget.current(), undefined, JSON.stringify(headers))
    t.same(changes, [])
  }
})

t.test('RateBudget.observe() reads the forms that registries send', async t => {
  const github = {
    'x-ratelimit-limit': '5',
    'x-ratelimit-remaining': '4',
    'x-ratelimit-reset': String(new ManualClock().now() / 1000 + 90),
  }
  const cases: readonly (readonly [Headers, number, number, number])[] = [
    [hub, 100, 76, 21_600_000],
    [{ 'x-ratelimit-limit': '100;w=60', 'x-ratelimit-remaining': '99' }, 100, 99, 60_000],
    [{ 'ratelimit-limit': ' 100 ; w=60', 'ratelimit-remaining': '0' }, 100, 0, 60_000],
    [{ 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': '9' }, 100, 9, 60_000],
    [{ 'ratelimit-limit': '100', 'ratelimit-remaining': '50' }, 100, 50, 60_000],
    [{ 'ratelimit-limit': '100', 'ratelimit-remaining': '500' }, 100, 100, 60_000],
    [{ 'ratelimit-limit': '5', 'ratelimit-remaining': '4', 'ratelimit-reset': '30' }, 5, 4, 30_000],
    [github, 5, 4, 90_000],
    [{ 'ratelimit-limit': '5', 'ratelimit-remaining': '4', 'ratelimit-reset': 'soon' }, 5, 4, 60_000],
    [{ 'ratelimit-limit': '5;w=999999999', 'ratelimit-remaining': '4' }, 5, 4, 24 * 3_600_000],
    [{ 'ratelimit-limit': 'x', ...{ 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': '4' } }, 5, 4, 60_000],
  ]
  for (const [headers, limit, remaining, windowMs] of cases) {
    const { clock, budget, observe } = start()

    observe(headers)

    t.same(
      budget.current(),
      { limit, remaining, windowMs, observedAtMs: clock.now() },
      JSON.stringify(headers),
    )
  }
})

t.test('RateBudget.observe() takes what remains of a limit that was told before', async t => {
  const { budget, observe } = start()
  observe(hub)

  observe({ 'ratelimit-remaining': '75;w=21600' })

  t.match(budget.current(), { limit: 100, remaining: 75 })
})

t.test(
  'RateBudget.current() forgets a budget when its window is over, or the clock was set back',
  async t => {
    const { clock, budget, observe } = start()
    observe(hub)

    clock.advance(21_599_999)
    t.equal(budget.current()?.remaining, 76)
    clock.advance(1)
    t.equal(budget.current(), undefined)

    observe(hub)
    clock.advance(-21_600_000)
    t.equal(budget.current(), undefined)
  },
)

t.test('RateBudget.exhausted() leaves nothing for a minute, or for as long as was asked', async t => {
  for (const [retryAfterMs, windowMs] of [
    [undefined, 60_000],
    [5_000, 5_000],
    [1_760_000_000_000, 3_600_000],
    [0, 0],
  ] as const) {
    const { clock, budget, observe } = start()
    observe(hub)

    budget.exhausted(retryAfterMs)

    if (windowMs > 0) {
      clock.advance(windowMs - 1)
      t.match(budget.current(), { limit: 100, remaining: 0, windowMs })
      clock.advance(1)
    }
    t.equal(budget.current()?.remaining, 76, 'what was told before holds again')
  }
})

t.test(
  'RateBudget.exhausted() needs no budget told before, and an answer sent earlier does not undo it',
  async t => {
    const { budget, observe } = start()

    budget.exhausted()
    t.match(budget.current(), { limit: 1, remaining: 0 })
    observe(hub)

    t.equal(budget.current()?.remaining, 0)
  },
)

t.test('RateBudget tells of what is new, and of nothing twice', async t => {
  const { clock, budget, observe, changes } = start()

  observe(hub)
  clock.advance(1_000)
  observe(hub)
  observe({ ...hub, 'ratelimit-remaining': '75;w=21600' })
  budget.exhausted()

  t.same(
    changes.map(({ remaining }) => remaining),
    [76, 75, 0],
  )
})
