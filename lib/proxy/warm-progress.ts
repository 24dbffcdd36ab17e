// What is told of a warm-up while it goes on. News waits for whoever reads it: a few events at most, and then the work
// waits, too, so that a reader who has fallen asleep costs no memory. How many bytes have come is told by the latest
// event alone; those that nobody read in time are forgotten.
import { abortable } from '../keyed-lock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

/** `image` is the reference in full, as formatImageReference() writes it. Sizes are bytes, of content as it is stored. */
export type WarmProgress =
  | { readonly kind: 'started'; readonly image: string }
  | {
      /** All manifests are here, and it is known what they refer to. */
      readonly kind: 'resolved'
      readonly image: string
      readonly digest: Digest
      /** Of the platforms that were asked for, those that the image does not have. */
      readonly missing: readonly string[]
      /** How many, all those of an index and of referrers included. */
      readonly manifests: number
      readonly blobs: number
      readonly totalBytes: number
      /** Why the tag may have moved: the upstream could not be asked. */
      readonly stale?: string | undefined
    }
  | {
      readonly kind: 'blob'
      readonly image: string
      readonly digest: Digest
      readonly sizeBytes: number
      readonly outcome: 'fetched' | 'present'
    }
  | {
      readonly kind: 'bytes'
      readonly image: string
      readonly doneBytes: number
      readonly totalBytes: number
    }
  | {
      readonly kind: 'done'
      readonly image: string
      readonly digest: Digest
      readonly fetchedBytes: number
      readonly presentBytes: number
      readonly elapsedMs: number
    }
  | { readonly kind: 'failed'; readonly image: string; readonly message: string }

const maxWaiting = 64

/** Events from one warm-up to one reader. */
export class WarmFeed implements AsyncIterable<WarmProgress> {
  readonly #waiting: WarmProgress[] = []
  readonly #writers = new Set<() => void>()
  #latestBytes: WarmProgress | undefined
  #wakeReader = () => {}
  #end: { readonly failure?: unknown } | undefined

  /** Resolves at once, unless the reader is far behind. */
  async add(event: WarmProgress, { signal }: CallOptions = {}): Promise<void> {
    // What comes after it says more, or is of another image.
    this.#latestBytes = undefined
    this.#waiting.push(event)
    this.#wakeReader()
    while (this.#waiting.length > maxWaiting) {
      let wake = () => {}
      const read = new Promise<void>(resolve => (wake = resolve))
      this.#writers.add(wake)
      try {
        await abortable(read, signal)
      } finally {
        this.#writers.delete(wake)
      }
    }
  }

  /** Replaces what was said last, if nobody has read it. */
  setBytes(event: Extract<WarmProgress, { readonly kind: 'bytes' }>): void {
    this.#latestBytes = event
    this.#wakeReader()
  }

  /** Ends the feed, behind what waits in it: with `failure`, if there is one, thrown at the reader. */
  end(end: { readonly failure?: unknown } = {}): void {
    this.#end = end
    this.#wakeReader()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WarmProgress, void, void> {
    for (;;) {
      const event = this.#waiting.shift() ?? this.#takeBytes()
      if (event !== undefined) {
        for (const wake of this.#writers) wake()
        yield event
      } else if (this.#end !== undefined) {
        if ('failure' in this.#end) throw this.#end.failure
        return
      } else {
        await new Promise<void>(resolve => (this.#wakeReader = resolve))
      }
    }
  }

  #takeBytes(): WarmProgress | undefined {
    const event = this.#latestBytes
    this.#latestBytes = undefined
    return event
  }
}
