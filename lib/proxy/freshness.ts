// Whether a mirrored tag may be served without asking its upstream. Pure: what it says depends on what it is given.

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
