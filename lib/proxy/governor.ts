// How much longer an upstream's answers are believed as its rate limit runs out. Pure.
//
//   what remains   100 % … 50 %      50 % … 10 %              below 10 %
//   times are      as they are       up to ten times longer   endless: nothing is revalidated
//
// What is not here goes on being fetched: that is what the last tenth is kept for. A budget was told some time ago, and
// limits refill: each part of the window that has passed counts as refilled, so that a mirror which has stopped asking
// looks again after a while. Only where nothing at all remains the upstream is left alone until the window is over.
import type { Budget } from '../upstream/rate-budget.ts'

/** Below this share of its limit an upstream is not asked about what is known. */
const reserve = 0.1
/** From this share on times are as configured. */
const plenty = 0.5
const mostStretch = 10

/** The factor for all times of an upstream's answers, at least 1; Infinity: they hold until the budget has recovered. */
export function stretchOf(budget: Budget | undefined, nowMs: number): number {
  if (budget === undefined) return 1
  const { limit, remaining, windowMs, observedAtMs } = budget
  const passed = (nowMs - observedAtMs) / windowMs
  // Written so that a budget that makes no sense, be it for a clock that was set back, holds nobody up.
  if (!(limit > 0 && passed >= 0 && passed < 1)) return 1
  if (remaining <= 0) return Infinity
  const share = remaining / limit + passed
  if (!(share < plenty)) return 1
  return share < reserve ? Infinity : mostStretch ** ((plenty - share) / (plenty - reserve))
}

/** A time with the factor applied; a time of 0 stays 0 unless the factor is endless. */
export function stretched(ttlMs: number, factor: number): number {
  return factor === Infinity ? Infinity : ttlMs * factor
}
