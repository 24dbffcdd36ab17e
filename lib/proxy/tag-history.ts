// What a tag has meant in the course of time, and which of that may be served under a cooldown. Pure.
//
// The newest digest that was first seen `minAgeMs` ago is served. Where none is that old, the oldest known is: what was
// there when the tag was first seen is believed, as there is nothing to compare it with, and everything after it waits.
import type { Digest } from '../oci/digest.ts'
import type { MirroredTag, TagSighting } from '../storage/mirrored-tags.ts'
import type { Cooldown } from './freshness.ts'

/** What of a record tells its history. */
type Sighted = Pick<MirroredTag, 'digest' | 'checkedAtMs' | 'history'>

/** A tag that moves more often forgets what it meant first. */
const maxSightings = 50

/** Newest first; its first entry is the record's digest, seen until the upstream was asked last. */
export function historyOf({ digest, checkedAtMs, history = [] }: Sighted): readonly TagSighting[] {
  // Without a history, of an earlier version: that wrote a record when the tag moved, and then only.
  return withSighting(history, digest, checkedAtMs)
}

/** With what the upstream says now in front. A digest that comes back has been seen since it was first there. */
export function withSighting(
  history: readonly TagSighting[],
  digest: Digest,
  nowMs: number,
): readonly TagSighting[] {
  const known = history.find(one => one.digest === digest)
  const lastSeenMs = Math.max(known?.lastSeenMs ?? 0, nowMs)
  const seen = { digest, firstSeenMs: known?.firstSeenMs ?? nowMs, lastSeenMs }
  return [seen, ...history.filter(one => one.digest !== digest)].slice(0, maxSightings)
}

/** What an upstream has said that a tag means, and when, milliseconds since the epoch. */
export interface Said {
  readonly digest: Digest
  readonly atMs: number
}

/** The record with that written down; what its link is to name is not said yet. */
export function withSaid(
  before: Sighted | undefined,
  { digest, atMs }: Said,
  upstream: string,
): Pick<MirroredTag, 'digest' | 'upstream' | 'checkedAtMs' | 'history'> {
  const history = withSighting(before === undefined ? [] : historyOf(before), digest, atMs)
  return { digest, upstream, checkedAtMs: atMs, history }
}

/** What storage says, and when the upstream last confirmed it as far as memory knows. */
export function withConfirmation(stored: MirroredTag, remembered: MirroredTag | undefined): MirroredTag {
  if (remembered?.digest !== stored.digest || remembered.checkedAtMs <= stored.checkedAtMs) return stored
  // With a history of its own: one that is made up from the time of the check must not move with it.
  return { ...stored, history: historyOf(stored), checkedAtMs: remembered.checkedAtMs }
}

/** What may be served for the tag, the best first: it is to be the first whose manifest can be had. Never empty. */
export function candidates(
  record: Sighted,
  cooldown: Cooldown | undefined,
  nowMs: number,
): readonly [Digest, ...Digest[]] {
  if (cooldown === undefined) return [record.digest]
  const history = historyOf(record)
  const isMature = ({ firstSeenMs }: TagSighting) => nowMs - firstSeenMs >= cooldown.minAgeMs
  const mature = history.filter(isMature)
  // By when they were seen first, not last: a digest that the upstream went back to is no newer than one it took back.
  const fresh = history.filter(one => !isMature(one)).toSorted((a, b) => a.firstSeenMs - b.firstSeenMs)
  const [best = record.digest, ...rest] = [...mature, ...fresh].map(one => one.digest)
  return [best, ...rest]
}

/** The first of candidates(), found without making any list: each request for a tag asks for it. */
export function preferred(record: Sighted, cooldown: Cooldown | undefined, nowMs: number): Digest {
  const { digest, history } = record
  if (cooldown === undefined) return digest
  if (history?.[0]?.digest !== digest) return candidates(record, cooldown, nowMs)[0]
  let oldest = history[0]
  for (const one of history) {
    if (nowMs - one.firstSeenMs >= cooldown.minAgeMs) return one.digest
    if (one.firstSeenMs < oldest.firstSeenMs) oldest = one
  }
  return oldest.digest
}
