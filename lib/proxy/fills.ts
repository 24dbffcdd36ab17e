// The fills of this process: at most one per digest, whoever asks and however often. A fill belongs to this room and
// not to a request; requests only join and leave.
import type { Clock } from '../clock.ts'
import { abortable } from '../keyed-lock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { PartialFills } from '../storage/partial-fills.ts'
import { fills, type FillFacts } from '../tracing/channels.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { FillRequest } from './beginning.ts'
import { Fill, type Claim, type FillOutcome } from './fill.ts'
import type { Keeping } from './keeping.ts'

/** A fill under way, for operators. */
export interface FillStatus {
  readonly digest: Digest
  /** The repository that it is fetched from, as it is stored. */
  readonly repository: RepositoryName
  readonly upstream: string
  readonly startedAtMs: number
  /** What an earlier fill has kept is among them. */
  readonly bytesStored: number
  readonly size: number | undefined
  readonly readers: number
  /** How often it was gone on with, after a body that broke off or what an earlier fill has kept. */
  readonly resumes: number
  /** What came from the upstream, on average since the start; 0 in the first millisecond. */
  readonly bytesPerSecond: number
}

export interface JoinRequest extends Omit<FillRequest, 'digest' | 'from'> {
  /** The repository that the caller may read the blob in. */
  readonly claim: Claim
}

export type FillEvent =
  | { readonly kind: 'fill-started' }
  | { readonly kind: 'fill-progress'; readonly bytes: number }
  | { readonly kind: 'fill-resumed' }
  /** `repository` is what it was fetched from, as it is stored. */
  | {
      readonly kind: 'fill-settled'
      readonly outcome: FillOutcome['kind']
      readonly repository: RepositoryName
      /** Undefined if it has failed. */
      readonly descriptor: Descriptor | undefined
    }

export interface FillsDeps {
  readonly blobs: BlobStore
  readonly keeping: Pick<Keeping, 'makeRoom' | 'release'>
  /** Where what fills that fail have got is kept for the next; default: nowhere. */
  readonly partials?: PartialFills | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly observe: (event: FillEvent) => void
}

export class Fills {
  readonly #deps: FillsDeps
  readonly #inFlight = new Map<Digest, Fill>()
  #draining = false

  constructor(deps: FillsDeps) {
    this.#deps = deps
  }

  /** The fill of this digest that is under way: one that has settled is not found any more. */
  find(digest: Digest): Fill | undefined {
    return this.#inFlight.get(digest)
  }

  list(): readonly FillStatus[] {
    return [...this.#inFlight.values()].map(fill => statusOf(fill, this.#deps.clock.now()))
  }

  /**
   * Joins the fill of a digest, or starts it; resolves when the upstream's headers are in, rejects with what the
   * upstream answered instead (nothing of that is remembered) or when `signal` is aborted, which the fill survives.
   */
  async join(digest: Digest, request: JoinRequest, { signal }: CallOptions = {}): Promise<Fill> {
    const fill = this.#inFlight.get(digest) ?? this.#start(digest, request)
    fill.claim(request.claim)
    await abortable(fill.opened, signal)
    return fill
  }

  /** Starts no more fills, waits at most `graceMs` for those under way, and stops what is left. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true
    const settled = Promise.all([...this.#inFlight.values()].map(fill => fill.settled))
    const graceOver = new AbortController()
    await Promise.race([
      settled,
      this.#deps.clock.sleep(graceMs, { signal: graceOver.signal }).catch(() => {}),
    ])
    graceOver.abort()
    for (const fill of this.#inFlight.values())
      fill.stop(new Error(`Cannot finish fill of "${fill.digest}": shutting down`))
    await settled
  }

  #start(digest: Digest, request: JoinRequest): Fill {
    if (this.#draining) throw new UpstreamError('unavailable', 'none', 'Cannot start a fill: shutting down')
    const { observe, blobs, keeping, partials, clock, logger } = this.#deps
    const deps = {
      blobs,
      keeping,
      partials,
      clock,
      logger,
      onProgress: (bytes: number) => observe({ kind: 'fill-progress', bytes }),
      onResume: () => observe({ kind: 'fill-resumed' }),
      onSettled: (outcome: FillOutcome) => {
        this.#inFlight.delete(digest)
        const descriptor = outcome.kind === 'failed' ? undefined : outcome.descriptor
        observe({ kind: 'fill-settled', outcome: outcome.kind, repository: request.claim.name, descriptor })
        if (outcome.kind === 'failed') logger.warn({ err: outcome.error, digest }, 'fill failed')
        if (outcome.kind === 'passed') logger.info({ digest }, 'no room to keep a blob, passed it on')
      },
    }
    const fill = traced(digest, request.upstream, () => {
      return new Fill(deps, { ...request, digest, from: request.claim.name })
    })
    this.#inFlight.set(digest, fill)
    observe({ kind: 'fill-started' })
    return fill
  }
}

function statusOf(fill: Fill, nowMs: number): FillStatus {
  const { digest, upstream, startedAtMs, bytesStored, size, readers, resumes } = fill
  const elapsedMs = nowMs - startedAtMs
  return {
    digest,
    repository: fill.from,
    upstream,
    startedAtMs,
    bytesStored,
    size,
    readers,
    resumes,
    bytesPerSecond: elapsedMs <= 0 ? 0 : Math.round((fill.bytesFetched / elapsedMs) * 1000),
  }
}

/** What `start` begins, which is told to whoever traces until it has settled. */
function traced(digest: Digest, upstream: string, start: () => Fill): Fill {
  if (!fills.hasSubscribers) return start()
  const facts: FillFacts = { digest, upstream }
  const fill = fills.traceSync(start, facts)
  void fill.settled.then(({ kind }) => {
    facts.outcome = kind
    fills.asyncEnd.publish(facts)
  })
  return fill
}
