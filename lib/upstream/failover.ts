// Several URLs of one registry behind one Upstream, in order of preference: whatever the first cannot give, the next
// is asked for. Each has its own circuit (circuit.ts), so one that is known not to help costs nothing.
//
// 1. The next is asked after every failure. After trouble, of course (`unavailable`, `limited`, `invalid`), but after
//    `unknown` and `denied`, too: a mirror may not have everything, and Docker Hub says 401 of names that it does not
//    know.
// 2. The next is asked beside the one before if that is silent for `hedgeMs`; at once, if it has been silent that long
//    with an earlier question that it still owes an answer to, or if its circuit lets one question through for trial.
//    The first success wins; what loses goes on to its own end, for the circuit's sake, and is disposed of.
// 3. If nobody has it, the answer is what the caller can rely on most:
//      - any trouble, before what others answered: a 404 may drop a copy that we hold, so it is claimed only if
//        everybody was there to say so. Of troubles, one that may pass before `invalid`, and the soonest to pass of
//        those, as callers wait for its `retryAfterMs`.
//      - `denied` before `unknown`, for the same reason: who denies has not said that it does not exist.
//      - of several that are equal, the one of the URL that was asked first.
// 4. A blob whose body broke off is asked for at the next URL first, so that resuming it does not meet the same break;
//    likewise one whose body has turned out to be something else, since it would be that again.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions, Descriptor, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Manifest } from '../oci/manifest.ts'
import type { Reference, Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { UpstreamError, UpstreamFailure } from './errors.ts'
import { firstSuccess, type Attempt, type Outcome, type Won } from './hedge.ts'
import type { Budget } from './rate-budget.ts'
import type { Upstream, UpstreamBody, UpstreamState } from './upstream.ts'

export interface FailoverOptions {
  /** Of all of them together, for logs and metrics. */
  readonly name: string
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds without headers after which the next URL is asked as well. Default 3 s. */
  readonly hedgeMs?: number | undefined
}

/** One upstream out of several, the most preferred first; closing it closes them. Throws TypeError for none. */
export function withFailover(upstreams: readonly Upstream[], options: FailoverOptions): Upstream {
  if (upstreams.length === 0) throw new TypeError(`Cannot make upstream "${options.name}": no URL`)
  return new Failover(upstreams, options)
}

/** Blobs of which is known where they were opened last, or where not to open them next; the oldest are forgotten. */
const maxRemembered = 1_000

/** One URL, and the questions that it lost and still owes an answer to, with the instant when they were asked. */
interface Candidate {
  readonly upstream: Upstream
  readonly late: Map<Promise<void>, number>
}

class Failover implements Upstream {
  readonly name: string
  readonly #candidates: readonly Candidate[]
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #hedgeMs: number
  /** Digest → the place of the URL whose body broke off, or was wrong. */
  readonly #broken = new Map<Digest, number>()
  /** Digest → the place of the URL whose body was given last. */
  readonly #given = new Map<Digest, number>()

  constructor(upstreams: readonly Upstream[], { name, clock, logger, hedgeMs = 3_000 }: FailoverOptions) {
    this.name = name
    this.#candidates = upstreams.map(upstream => ({ upstream, late: new Map() }))
    this.#clock = clock
    this.#logger = logger
    this.#hedgeMs = hedgeMs
  }

  async statBlob(name: RepositoryName, digest: Digest, options: CallOptions = {}): Promise<Descriptor> {
    return (await this.#ask(upstream => upstream.statBlob(name, digest, options), options)).value
  }

  async openBlob(
    name: RepositoryName,
    digest: Digest,
    options: CallOptions & { readonly start?: number } = {},
  ): Promise<UpstreamBody> {
    const broken = this.#broken.get(digest)
    const { index, value } = await this.#ask(
      upstream => upstream.openBlob(name, digest, options),
      options,
      broken === undefined ? 0 : (broken + 1) % this.#candidates.length,
      late => late.dispose(),
    )
    remember(this.#given, digest, index)
    return this.#observed(value, digest, index, options)
  }

  async manifest(
    name: RepositoryName,
    reference: Reference,
    options: CallOptions & { readonly known?: Digest } = {},
  ): Promise<Manifest | 'unchanged'> {
    return (await this.#ask(upstream => upstream.manifest(name, reference, options), options)).value
  }

  async statManifest(
    name: RepositoryName,
    reference: Reference,
    options: CallOptions = {},
  ): Promise<Descriptor> {
    return (await this.#ask(upstream => upstream.statManifest(name, reference, options), options)).value
  }

  async referrers(
    name: RepositoryName,
    digest: Digest,
    options: CallOptions = {},
  ): Promise<readonly ManifestEntry[]> {
    return (await this.#ask(upstream => upstream.referrers(name, digest, options), options)).value
  }

  async tags(name: RepositoryName, options: CallOptions = {}): Promise<readonly Tag[]> {
    return (await this.#ask(upstream => upstream.tags(name, options), options)).value
  }

  distrust(digest: Digest): void {
    const place = this.#given.get(digest)
    if (place !== undefined) remember(this.#broken, digest, place)
  }

  /** That of the most preferred URL that has told of one. */
  budget(): Budget | undefined {
    for (const { upstream } of this.#candidates) {
      const budget = upstream.budget?.()
      if (budget !== undefined) return budget
    }
    return undefined
  }

  states(): readonly UpstreamState[] {
    return this.#candidates.flatMap(({ upstream }) => upstream.states?.() ?? [unguarded(upstream)])
  }

  /** Closes all, also where closing one fails; then nothing is under way any more. */
  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.#candidates.map(({ upstream }) => upstream.close()))
    await Promise.all(this.#candidates.flatMap(({ late }) => [...late.keys()]))
    for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** The first success, and the place of the URL that it is from; the URLs are asked in order, from `first` round. */
  async #ask<T>(
    ask: (upstream: Upstream) => Promise<T>,
    { signal }: CallOptions,
    first = 0,
    letGo: (late: T) => Promise<void> = async () => {},
  ): Promise<Won<T>> {
    const places = [...this.#candidates.keys()]
    const order = [...places.slice(first), ...places.slice(0, first)]
    const candidates = order.flatMap(place => this.#candidates[place] ?? [])
    const begunAtMs: number[] = []
    const attempts = candidates.map((candidate, index): Attempt<T> => ({
      hedgeMs: this.#isDoubtful(candidate) ? 0 : this.#hedgeMs,
      ask: () => {
        begunAtMs[index] = this.#clock.now()
        return ask(candidate.upstream)
      },
    }))
    const result = await firstSuccess(attempts, {
      clock: this.#clock,
      signal,
      onFailure: (index, err) =>
        this.#logger.debug({ upstream: candidates[index]?.upstream.name, err }, 'asking the next upstream'),
      onLate: (index, outcome) => this.#keepLate(candidates[index], begunAtMs[index] ?? 0, outcome, letGo),
    })
    if ('index' in result) return { index: order[result.index] ?? 0, value: result.value }
    throw mostTelling(result)
  }

  /** Whether waiting for it is likely to be in vain. */
  #isDoubtful({ upstream, late }: Candidate): boolean {
    const nowMs = this.#clock.now()
    for (const begunAtMs of late.values()) if (nowMs - begunAtMs >= this.#hedgeMs) return true
    return upstream.states?.().some(({ circuit }) => circuit.kind !== 'closed') ?? false
  }

  #keepLate<T>(
    candidate: Candidate | undefined,
    begunAtMs: number,
    outcome: Promise<Outcome<T>>,
    letGo: (value: T) => Promise<void>,
  ): void {
    const gone = outcome
      .then(ended => ('value' in ended ? letGo(ended.value) : undefined))
      .catch((err: unknown) =>
        this.#logger.debug({ upstream: this.name, err }, 'cannot dispose of an answer'),
      )
      .finally(() => candidate?.late.delete(gone))
    candidate?.late.set(gone, begunAtMs)
  }

  #observed(body: UpstreamBody, digest: Digest, place: number, { signal }: CallOptions): UpstreamBody {
    if (this.#candidates.length === 1) return body
    const broken = this.#broken
    return {
      size: body.size,
      async *[Symbol.asyncIterator]() {
        try {
          yield* body
          broken.delete(digest)
        } catch (err) {
          if (!signal?.aborted) remember(broken, digest, place)
          throw err
        }
      },
      dispose: () => body.dispose(),
    }
  }
}

const rank: Readonly<Record<UpstreamFailure, number>> = {
  unavailable: 0,
  limited: 0,
  invalid: 1,
  denied: 2,
  unknown: 3,
}

/** What to report of the failures of all URLs, the first asked first; see rule 3 above. Throws TypeError for none. */
export function mostTelling(failures: readonly UpstreamError[]): UpstreamError {
  return failures.reduce((best, next) => (isMoreTelling(next, best) ? next : best))
}

function isMoreTelling(a: UpstreamError, b: UpstreamError): boolean {
  if (rank[a.failure] !== rank[b.failure]) return rank[a.failure] < rank[b.failure]
  return a.retryable && (a.retryAfterMs ?? 0) < (b.retryAfterMs ?? 0)
}

function remember(places: Map<Digest, number>, digest: Digest, place: number): void {
  places.delete(digest)
  places.set(digest, place)
  const [oldest] = places.keys()
  if (places.size > maxRemembered && oldest !== undefined) places.delete(oldest)
}

function unguarded(upstream: Upstream): UpstreamState {
  return { host: upstream.name, circuit: { kind: 'closed' }, budget: upstream.budget?.() }
}
