// What is known of a tag, for operators: what would be served of it now, how fresh that is, and what its upstream has said
// so far. Asks no upstream and changes nothing.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { TagSighting } from '../storage/mirrored-tags.ts'
import { judge, ttlOf } from './freshness.ts'
import { stretched, stretchOf } from './governor.ts'
import type { PullThroughContext } from './pull-through.ts'
import type { Failure } from './questions.ts'
import { ageOf } from './revalidation.ts'
import { historyOf, preferred } from './tag-history.ts'
import { isCopy, isSettled, type TagMeanings } from './tag-meanings.ts'

export interface TagDescription {
  /** Name of the upstream that the repository is mirrored from. */
  readonly upstream: string
  /** Such a tag is no upstream's to move: everything below but `digest` and `stored` says nothing. */
  readonly pushedHere: boolean
  /** What the tag means here; undefined: nothing is known. */
  readonly digest: Digest | undefined
  /** Whether that manifest is here. */
  readonly stored: boolean
  /** What the upstream says that it means; another than `digest` while a cooldown holds that back. */
  readonly newest: Digest | undefined
  /**
   * - `fresh`: it is served without asking
   * - `expired`: the upstream is asked; what is here covers its trouble
   * - `missing`: the upstream is asked, and there is nothing here to cover its trouble
   * - `unknown`: the upstream has said lately that there is no such tag
   */
  readonly verdict: 'fresh' | 'expired' | 'missing' | 'unknown'
  /** Since the upstream last confirmed it, milliseconds. */
  readonly ageMs: number | undefined
  /** For how long it is served without asking, milliseconds; 0: it is not; Infinity: until something changes. */
  readonly ttlLeftMs: number
  /** By how much all times are longer than configured because the upstream's rate limit runs out. */
  readonly stretch: number
  /** Newest first. */
  readonly history: readonly TagSighting[]
  /** How the upstream failed when it was asked last; undefined: it answered, or was not asked since the start. */
  readonly lastFailure: Failure | undefined
}

export async function describeTag(
  context: PullThroughContext,
  { key, meanings }: { readonly key: string; readonly meanings: TagMeanings },
  tag: Tag,
  options?: CallOptions,
): Promise<TagDescription> {
  const { route, mirrored, mirroredTags, questions, clock } = context
  const { upstream, freshness } = route
  const here = await meanings.look(tag, options)
  const nowMs = clock.now()
  const stretch = stretchOf(upstream.budget?.(), nowMs)
  const nothing = { newest: undefined, ageMs: undefined, ttlLeftMs: 0, history: [] }
  const known = { upstream: upstream.name, stretch, lastFailure: questions.failureOf(key) }
  if (here !== undefined && !isCopy(here)) {
    const { digest } = here.manifest.descriptor
    return {
      ...nothing,
      ...known,
      pushedHere: true,
      digest,
      stored: true,
      verdict: 'fresh',
      ttlLeftMs: Infinity,
    }
  }
  const record = here?.record ?? (await mirroredTags.get(mirrored.name, tag, options))
  const { lastFailure } = known
  const isGone =
    lastFailure?.failure === 'unknown' &&
    judge({ checkedAtMs: lastFailure.atMs }, freshness.negativeTtlMs, nowMs) === 'fresh'
  const ttlMs = stretched(ttlOf(freshness, tag), stretch)
  const isFresh = here !== undefined && isSettled(here) && judge(here.record, ttlMs, nowMs) === 'fresh'
  const rest = {
    ...known,
    pushedHere: false,
    stored: here !== undefined,
    verdict: isGone ? 'unknown' : isFresh ? 'fresh' : here === undefined ? 'missing' : 'expired',
  } as const
  if (record === undefined) return { ...nothing, ...rest, digest: undefined }
  return {
    ...rest,
    digest: here?.manifest.descriptor.digest ?? preferred(record, meanings.cooldownOf(tag), nowMs),
    newest: record.digest,
    ageMs: ageOf(record, nowMs),
    ttlLeftMs: isFresh ? record.checkedAtMs + ttlMs - nowMs : 0,
    history: historyOf(record),
  }
}
