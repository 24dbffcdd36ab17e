// Tells operators how an upstream's rate limit runs out: once for each step down, and when there is plenty again, not with
// every answer.
import type { Logger } from '../log.ts'
import type { Budget } from './rate-budget.ts'

/** Shares of the limit below which something is said, and how. */
const steps = [
  { below: 0.5, level: 'info', message: 'less than half of the upstream’s rate limit is left' },
  { below: 0.1, level: 'warn', message: 'hardly anything of the upstream’s rate limit is left' },
  { below: Number.MIN_VALUE, level: 'warn', message: 'nothing of the upstream’s rate limit is left' },
] as const

/** For RateBudget's `onChange`. `upstream` is its host. */
export function createBudgetLog(logger: Logger, upstream: string): (budget: Budget) => void {
  let said = 0
  return ({ limit, remaining }) => {
    const reached = steps.filter(({ below }) => remaining / limit < below).length
    const step = steps[reached - 1]
    const fields = { upstream, limit, remaining }
    if (reached > said && step !== undefined) logger[step.level](fields, step.message)
    if (reached === 0 && said > 0)
      logger.info(fields, 'more than half of the upstream’s rate limit is left again')
    said = reached
  }
}
