// What is served of an upstream's answer that is here, and when the upstream is asked again. The whole decision:
//
//   it said "unknown" lately                 → repeated; a copy is served or not by policy          (negativeTtlMs)
//   fresh                                    → the copy                                             HIT
//   offline                                  → the copy                                             STALE
//   it failed a moment ago                   → the copy, without asking                             STALE
//   fresh enough, as its budget runs out     → the copy (governor.ts)                               HIT
//   policy `background`, or it lets us wait  → the copy, and one question in the background         STALE
//   it says the same, or something new       → that                                                 REVALIDATED, MISS
//   it does not answer within our patience   → the copy; the question goes on for the next one      STALE
//   it fails                                 → the copy                                             STALE
//
// Without a copy it is asked, and waited for, unless it said "unknown" lately.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Provenance } from '../registry/registry.ts'
import { UpstreamError } from '../upstream/errors.ts'
import { judge, type Checked, type FreshnessPolicy } from './freshness.ts'
import { stretched, stretchOf } from './governor.ts'
import type { Failure, Question, Questions } from './questions.ts'

/** Something that an upstream is asked about. */
export interface Subject<T> {
  readonly question: Question<Fetched<T>>
  readonly freshness: FreshnessPolicy
  /** How long it is fresh while the upstream's budget is plenty, milliseconds. */
  readonly ttlMs: number
  /** `checkedAtMs` NaN: it is there to fall back on alone. */
  readonly known: Known<T> | undefined
}

export interface Known<T> extends Checked {
  readonly value: T
}

/** What came of a question. */
export interface Fetched<T> {
  readonly value: T
  /** REVALIDATED: what we had is still so. Undefined: what was pushed here meanwhile. */
  readonly cache: 'MISS' | 'REVALIDATED' | undefined
}

export interface Served<T> extends Provenance {
  readonly value: T
}

export interface RevalidationDeps {
  readonly questions: Questions
  readonly clock: Clock
  readonly offline?: boolean | undefined
}

/** After a failure, who has a copy does not ask again for so long (or the time to live, if that is shorter). */
const pauseMs = 5000
/** As long as an upstream may keep us from asking by Retry-After. */
const longestPauseMs = 60_000

/**
 * Throws UpstreamError: of any kind where nothing is known, and `unknown` also where something is and the policy passes
 * that on.
 */
export async function revalidated<T>(
  subject: Subject<T>,
  deps: RevalidationDeps,
  options?: CallOptions,
): Promise<Served<T>> {
  const { question, freshness, known } = subject
  const { questions, clock, offline = false } = deps
  const { key, upstream } = question
  const nowMs = clock.now()
  const failure = questions.failureOf(key)
  const isGone = failure?.failure === 'unknown'
  if (isGone && judge({ checkedAtMs: failure.atMs }, freshness.negativeTtlMs, nowMs) === 'fresh') {
    return withoutIt(subject, nowMs, new UpstreamError('unknown', upstream.name, failure.message))
  }
  if (known === undefined) return asServed(await questions.ask(question, options))
  if (judge(known, subject.ttlMs, nowMs) === 'fresh') return asHit(known, nowMs)
  if (offline) return asStale(known, nowMs, 'offline')
  if (failure !== undefined && !isGone && isPausing(failure, subject.ttlMs, nowMs)) {
    return asStale(known, nowMs, `upstream ${upstream.name} ${failure.failure}`)
  }
  if (isFreshEnough(subject, known, nowMs)) return asHit(known, nowMs)
  if (!questions.isWorthWaitingFor(upstream)) {
    questions.askBehind(question)
    return asStale(known, nowMs, `upstream ${upstream.name} slow`)
  }
  // What it called unknown is not given out again before it has been asked.
  if (freshness.revalidation === 'background' && !isGone) {
    questions.askBehind(question)
    return asStale(known, nowMs, 'being revalidated')
  }
  try {
    const answered = await questions.askWithin(question, freshness.patienceMs, options)
    return answered === undefined
      ? asStale(known, clock.now(), `upstream ${upstream.name} slow`)
      : asServed(answered.answer)
  } catch (err) {
    if (!(err instanceof UpstreamError)) throw err
    if (err.failure === 'unknown') return withoutIt(subject, clock.now(), err)
    return asStale(known, clock.now(), staleness(err))
  }
}

/** Why what is given may be out of date. */
export function staleness({ upstream, failure }: UpstreamError): string {
  return `upstream ${upstream} ${failure}`
}

/** How long ago the upstream last said so, milliseconds; undefined where that is not known. */
export function ageOf({ checkedAtMs }: Checked, nowMs: number): number | undefined {
  return checkedAtMs > 0 ? Math.max(0, nowMs - checkedAtMs) : undefined
}

/** Whether the upstream's budget wants it to be served without asking, although its time is over. */
function isFreshEnough<T>({ question, ttlMs }: Subject<T>, known: Known<T>, nowMs: number): boolean {
  const factor = stretchOf(question.upstream.budget?.(), nowMs)
  return factor > 1 && judge(known, stretched(ttlMs, factor), nowMs) === 'fresh'
}

function isPausing({ atMs, retryAfterMs = 0 }: Failure, ttlMs: number, nowMs: number): boolean {
  const wantedMs = Math.max(pauseMs, Math.min(retryAfterMs, longestPauseMs))
  return judge({ checkedAtMs: atMs }, Math.min(ttlMs, wantedMs), nowMs) === 'fresh'
}

/** The upstream says that there is no such thing. */
function withoutIt<T>({ freshness, known }: Subject<T>, nowMs: number, err: UpstreamError): Served<T> {
  if (known === undefined || freshness.whenDeleted === 'pass') throw err
  return asStale(known, nowMs, staleness(err))
}

function asHit<T>(known: Known<T>, nowMs: number): Served<T> {
  return { value: known.value, cache: 'HIT', ageMs: ageOf(known, nowMs) }
}

function asStale<T>(known: Known<T>, nowMs: number, stale: string): Served<T> {
  return { value: known.value, cache: 'STALE', stale, ageMs: ageOf(known, nowMs) }
}

function asServed<T>({ value, cache }: Fetched<T>): Served<T> {
  return cache === undefined ? { value } : { value, cache, ageMs: 0 }
}
