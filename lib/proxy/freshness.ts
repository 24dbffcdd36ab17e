// Whether a mirrored tag may be served without asking its upstream. Pure: what it says depends on what it is given.
import type { Tag } from '../oci/reference.ts'

/** How long an upstream's tags are served without asking it, and what is done when it cannot be asked. */
export interface FreshnessPolicy {
  /** Of lists, and of tags that no rule is about, milliseconds. 0: always asked. */
  readonly ttlMs: number
  /** The first one that matches a tag decides; Infinity: a tag that is known is never asked for again. */
  readonly rules: readonly { matches(tag: Tag): boolean; readonly ttlMs: number }[]
  /** `background`: what is here is served at once, however old, and the upstream is asked afterwards. */
  readonly revalidation: 'first' | 'background'
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

/** What is remembered of a mirrored tag. */
export interface Checked {
  /** When the upstream last said what the tag means, milliseconds since the epoch. */
  readonly checkedAtMs: number
}

/**
 * `ttlMs` 0 means that every request asks. A check that lies in the future (the clock was set back) does not count.
 * Digests never expire; only tags come here. Source: docs/design/002-mirrored-tags.md.
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
