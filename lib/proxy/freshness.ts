// Whether what an upstream said may be repeated without asking it again. Pure: the answer depends on what is given.
import type { Tag } from '../oci/reference.ts'

/** How long an upstream's tags are served without asking it, and what is done when it cannot be asked. */
export interface FreshnessPolicy {
  /** Of lists, and of tags that no rule is about, milliseconds. 0: always asked. */
  readonly ttlMs: number
  /** The first one that matches a tag decides; Infinity: a tag that is known is never asked for again. */
  readonly rules: readonly { matches(tag: Tag): boolean; readonly ttlMs: number }[]
  /** `background`: what is here is served at once, however old, and the upstream is asked afterwards. */
  readonly revalidation: 'first' | 'background'
  /** How long a client waits for the upstream although there is a copy to serve, milliseconds. */
  readonly patienceMs: number
  /** What the upstream's 404 does to a tag that is here: `pass` answers 404 and keeps the copy. */
  readonly whenDeleted: 'pass' | 'serve'
  /** How long the upstream's answer that something does not exist is repeated, milliseconds. */
  readonly negativeTtlMs: number
  /** Undefined: a tag is what the upstream says it is. */
  readonly cooldown: Cooldown | undefined
}

/** A tag moves here only when its new digest has been seen for so long. */
export interface Cooldown {
  readonly minAgeMs: number
  /** Nothing is held back, only logged and counted. */
  readonly auditOnly: boolean
  exempts(tag: Tag): boolean
}

/** What is remembered of something that an upstream said. */
export interface Checked {
  /** When it last said so, milliseconds since the epoch. */
  readonly checkedAtMs: number
}

/** What holds where nobody says otherwise: one time for all tags, asked first, a 404 passed on, no cooldown. */
export function defaultFreshness(ttlMs = 60_000): FreshnessPolicy {
  return {
    ttlMs,
    rules: [],
    revalidation: 'first',
    patienceMs: 1000,
    whenDeleted: 'pass',
    negativeTtlMs: 30_000,
    cooldown: undefined,
  }
}

/** How long a tag is served without asking, milliseconds. */
export function ttlOf(policy: FreshnessPolicy, tag: Tag): number {
  return policy.rules.find(rule => rule.matches(tag))?.ttlMs ?? policy.ttlMs
}

/**
 * `ttlMs` 0 means that every request asks. A check that lies in the future (the clock was set back) does not count, and
 * neither does one at NaN. Digests never expire: they do not come here.
 */
export function judge(
  checked: Checked | undefined,
  ttlMs: number,
  nowMs: number,
): 'fresh' | 'revalidate' | 'missing' {
  if (checked === undefined) return 'missing'
  const ageMs = nowMs - checked.checkedAtMs
  return ageMs >= 0 && ageMs < ttlMs ? 'fresh' : 'revalidate'
}
