// What an upstream says of how much it will still answer: Docker Hub's `ratelimit-limit: 100;w=21600` and
// `ratelimit-remaining: 76;w=21600` (pulls in a window of so many seconds), the same under `x-ratelimit-…`, and the
// plain numbers that others send, with or without `ratelimit-reset`. Whoever plans requests looks here first.
//
// Headers are a courtesy and come in any state: what does not parse is as if it were not there, and nothing throws.
import type { Clock } from '../clock.ts'

/** What an upstream last said; `remaining` of `limit` until `windowMs` after `observedAtMs`. */
export interface Budget {
  /** Requests that count, per window; at least 1. */
  readonly limit: number
  /** From 0 to `limit`. */
  readonly remaining: number
  /** Milliseconds for which the statement is good. */
  readonly windowMs: number
  /** Epoch milliseconds. */
  readonly observedAtMs: number
}

export interface RateBudgetOptions {
  readonly clock: Clock
  /**
   * Called with each budget that says something new. That one has passed its window is nobody's event: a gauge that
   * shall vanish then reads current() when it is collected.
   */
  readonly onChange?: ((budget: Budget) => void) | undefined
}

/** The budget at one upstream, as its answers tell it. */
export class RateBudget {
  readonly #clock: Clock
  readonly #onChange: (budget: Budget) => void
  #told: Budget | undefined
  #exhausted: Budget | undefined

  constructor({ clock, onChange = () => {} }: RateBudgetOptions) {
    this.#clock = clock
    this.#onChange = onChange
  }

  /** Takes in the headers of an answer of the upstream itself, whatever its status; `header` is by lower-case name. */
  observe(header: (name: string) => string | undefined): void {
    const nowMs = this.#clock.now()
    const told = parseBudget(header, nowMs, this.#told?.limit)
    if (told === undefined) return
    const before = this.#told
    this.#told = told
    if (before === undefined || !saysTheSame(before, told)) this.#tell()
  }

  /** Takes in a 429: nothing remains for `retryAfterMs`, at most an hour, or for a minute if it does not say. */
  exhausted(retryAfterMs = defaultWindowMs): void {
    this.#exhausted = {
      limit: this.#told?.limit ?? 1,
      remaining: 0,
      windowMs: Math.min(Math.max(retryAfterMs, 0), longestExhaustionMs),
      observedAtMs: this.#clock.now(),
    }
    this.#tell()
  }

  /** What holds now; undefined where the upstream has said nothing, or too long ago. */
  current(): Budget | undefined {
    const nowMs = this.#clock.now()
    return [this.#exhausted, this.#told].find(budget => budget !== undefined && isCurrent(budget, nowMs))
  }

  #tell(): void {
    const budget = this.current()
    if (budget !== undefined) this.#onChange(budget)
  }
}

/** Where the upstream names no window. */
const defaultWindowMs = 60_000
/** Some send an instant where a delay belongs; no statement is believed for longer. */
const longestExhaustionMs = 60 * 60_000
const longestWindowMs = 24 * 60 * 60_000
const prefixes = ['ratelimit', 'x-ratelimit'] as const

function parseBudget(
  header: (name: string) => string | undefined,
  nowMs: number,
  knownLimit: number | undefined,
): Budget | undefined {
  for (const prefix of prefixes) {
    const limitText = header(`${prefix}-limit`)
    const remainingText = header(`${prefix}-remaining`)
    const limit = parseCount(limitText) ?? knownLimit
    const remaining = parseCount(remainingText)
    if (limit === undefined || limit < 1 || remaining === undefined) continue
    const windowMs =
      parseWindow(remainingText) ??
      parseWindow(limitText) ??
      parseReset(header(`${prefix}-reset`), nowMs) ??
      defaultWindowMs
    return {
      limit,
      remaining: Math.min(remaining, limit),
      windowMs: Math.min(windowMs, longestWindowMs),
      observedAtMs: nowMs,
    }
  }
  return undefined
}

/** The number at the beginning; what follows are parameters or further policies. */
function parseCount(text: string | undefined): number | undefined {
  const match = /^\s*(\d{1,15})\s*(?:[;,]|$)/.exec(text ?? '')
  return match === null ? undefined : Number(match[1])
}

function parseWindow(text: string | undefined): number | undefined {
  const match = /;\s*w\s*=\s*(\d{1,9})(?!\d)/.exec(text ?? '')
  return match === null ? undefined : Number(match[1]) * 1000
}

/** Seconds from now or, as GitHub has it, since the epoch. */
function parseReset(text: string | undefined, nowMs: number): number | undefined {
  const match = /^\s*(\d{1,12})\s*$/.exec(text ?? '')
  if (match === null) return undefined
  const givenMs = Number(match[1]) * 1000
  return givenMs > longestWindowMs ? Math.max(0, givenMs - nowMs) : givenMs
}

/** A clock that was set back must not keep a budget for ever. */
function isCurrent({ windowMs, observedAtMs }: Budget, nowMs: number): boolean {
  return Math.abs(nowMs - observedAtMs) < windowMs
}

function saysTheSame(a: Budget, b: Budget): boolean {
  return a.limit === b.limit && a.remaining === b.remaining && a.windowMs === b.windowMs
}
