// How many requests to one upstream are under way at once, and who is next. A place is held from before the request
// until its answer's body is closed.
//
// 1. There are `maxRequests` places. Bodies of blobs, which take long, may have three quarters of them: a manifest or a
//    HEAD never waits for a layer to end.
// 2. Who finds no place waits in one of two lines, blobs or the rest, in which repositories take turns. A place that
//    becomes free goes to the lines alternately, as far as rule 1 allows.
// 3. At most `maxQueued` wait. One more is told so at once: waiting without hope is worse than asking elsewhere.
import type { CallOptions } from '../oci/descriptor.ts'
import { UpstreamError } from './errors.ts'
import { FairLine } from './fair-line.ts'

export interface QueueLimits {
  /** Default 64; less than 2 counts as 2, one for a blob and one for what is asked while it comes. */
  readonly maxRequests?: number | undefined
  /** Default 1000. */
  readonly maxQueued?: number | undefined
}

export interface RequestQueueOptions extends QueueLimits {
  readonly upstream: string
  /** Told when one more waits, and when one less. */
  readonly onWaiting?: ((change: 1 | -1) => void) | undefined
}

/** `blob` is the body of one; its HEAD is brief. */
export type RequestKind = 'blob' | 'brief'

/** Gives the place back; what comes after the first call does nothing. */
export type Release = () => void

interface Waiter {
  readonly admit: () => void
}

/** When the one who is turned away may try again. */
const retryAfterMs = 1_000

export class RequestQueue {
  readonly #upstream: string
  readonly #maxRequests: number
  readonly #maxBlobs: number
  readonly #maxQueued: number
  readonly #onWaiting: (change: 1 | -1) => void
  readonly #lines = { blob: new FairLine<Waiter>(), brief: new FairLine<Waiter>() }
  readonly #underWay = { blob: 0, brief: 0 }
  #lastServed: RequestKind = 'blob'

  constructor({ upstream, maxRequests = 64, maxQueued = 1000, onWaiting = () => {} }: RequestQueueOptions) {
    this.#upstream = upstream
    this.#maxRequests = Math.max(2, maxRequests)
    this.#maxBlobs = Math.floor((this.#maxRequests * 3) / 4)
    this.#maxQueued = maxQueued
    this.#onWaiting = onWaiting
  }

  /**
   * Waits for a place; the caller gives it back. `party` is who takes turns with others: a repository. Throws
   * UpstreamError `unavailable` with `retryAfterMs` if too many wait; or `signal.reason`.
   */
  async enter(kind: RequestKind, party: string, { signal }: CallOptions = {}): Promise<Release> {
    signal?.throwIfAborted()
    if (!this.#hasPlace(kind)) await this.#wait(kind, party, signal)
    // Whoever admits from the line has counted already, so that nobody can slip in between.
    else this.#underWay[kind]++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#underWay[kind]--
      this.#serve()
    }
  }

  /** Where there is a place nobody of that kind waits, since every free place is given away at once. */
  #hasPlace(kind: RequestKind): boolean {
    const { blob, brief } = this.#underWay
    return blob + brief < this.#maxRequests && (kind === 'brief' || blob < this.#maxBlobs)
  }

  get #waiting(): number {
    return this.#lines.blob.size + this.#lines.brief.size
  }

  async #wait(kind: RequestKind, party: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting >= this.#maxQueued) {
      const message = `Cannot ask "${this.#upstream}": ${this.#waiting} requests wait already`
      throw new UpstreamError('unavailable', this.#upstream, message, { retryAfterMs, asked: false })
    }
    const line = this.#lines[kind]
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        admit: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      const leave = () => {
        line.remove(party, waiter)
        this.#onWaiting(-1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave, { once: true })
      line.add(party, waiter)
      this.#onWaiting(1)
    })
  }

  #serve(): void {
    for (let kind = this.#nextKind(); kind !== undefined; kind = this.#nextKind()) {
      const waiter = this.#lines[kind].next()
      if (waiter === undefined) return
      this.#underWay[kind]++
      this.#lastServed = kind
      this.#onWaiting(-1)
      waiter.admit()
    }
  }

  /** Of which kind the next one admitted is; undefined if nobody can be. */
  #nextKind(): RequestKind | undefined {
    const order = this.#lastServed === 'blob' ? (['brief', 'blob'] as const) : (['blob', 'brief'] as const)
    return order.find(kind => this.#lines[kind].size > 0 && this.#hasPlace(kind))
  }
}
