import t from 'tap'
import { createBudgetLog } from '../../lib/upstream/budget-log.ts'
import { silentLogger } from '../support/upstream-client.ts'

t.test('createBudgetLog() says each step down once, and that there is plenty again', async t => {
  const lines: string[] = []
  const log = createBudgetLog(
    silentLogger(line => lines.push(line)),
    'hub.example',
  )
  const at = (remaining: number) => log({ limit: 100, remaining, windowMs: 1000, observedAtMs: 0 })

  for (const remaining of [100, 60, 49, 48, 30, 9, 8, 0, 0, 5, 100, 99]) at(remaining)

  t.same(
    lines.map(line => (JSON.parse(line) as { remaining: number }).remaining),
    [49, 9, 0, 100],
  )
  t.match(lines[2], /nothing of the upstream/)
  t.match(lines[2], /hub\.example/)
})
