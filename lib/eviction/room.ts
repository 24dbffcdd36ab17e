// Who gets the room that there is. Room that was promised to content counts as used until that content is there, and is
// then counted as what it is, so that many fills which end at once do not all get the same bytes. Those who wait are
// served in the order in which they came.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

export interface RoomOptions extends CallOptions {
  /** The content that the room is promised to, until it is there or release() is called; without it nothing is promised. */
  readonly digest?: Digest | undefined
}

export interface RoomDeps {
  /** Never more than this is given away. */
  readonly maxBytes: number
  /** What there is already. */
  usedBytes(): number
}

interface Waiter {
  readonly sizeBytes: number
  readonly digest: Digest | undefined
  readonly answer: (hasRoom: boolean) => void
}

export class Room {
  readonly #deps: RoomDeps
  readonly #promised = new Map<Digest, number[]>()
  readonly #waiting = new Set<Waiter>()
  #promisedBytes = 0

  constructor(deps: RoomDeps) {
    this.#deps = deps
  }

  /** Bytes that are promised to content which is not there yet. */
  get promisedBytes(): number {
    return this.#promisedBytes
  }

  /** What there is, and what is promised. */
  get takenBytes(): number {
    return this.#deps.usedBytes() + this.#promisedBytes
  }

  get isWaitedFor(): boolean {
    return this.#waiting.size > 0
  }

  /** Whether there is room at once; not for who would overtake others. */
  take(sizeBytes: number, digest: Digest | undefined): boolean {
    if (this.#waiting.size > 0 || !this.#fits(sizeBytes)) return false
    this.#promise(sizeBytes, digest)
    return true
  }

  /** Waits until serve() can tell. Rejects with `signal.reason`. */
  async wait(sizeBytes: number, { digest, signal }: RoomOptions = {}): Promise<boolean> {
    signal?.throwIfAborted()
    return new Promise<boolean>((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter)
        reject(signal?.reason as Error)
      }
      const answer = (hasRoom: boolean) => {
        signal?.removeEventListener('abort', leave)
        this.#waiting.delete(waiter)
        resolve(hasRoom)
      }
      const waiter = { sizeBytes, digest, answer }
      this.#waiting.add(waiter)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  /** Answers those who wait, as far as that can be said. Undefined: it is not known how many bytes could be freed. */
  serve(freeableBytes: number | undefined): void {
    for (const { sizeBytes, digest, answer } of this.#waiting) {
      const hasRoom = this.#fits(sizeBytes)
      if (hasRoom) this.#promise(sizeBytes, digest)
      else if (freeableBytes === undefined || this.#fits(sizeBytes - freeableBytes)) return
      answer(hasRoom)
    }
  }

  /** Nobody gets any more. */
  refuseAll(): void {
    for (const { answer } of this.#waiting) answer(false)
  }

  /** One promise to this content is not needed any more; nothing if there is none. */
  release(digest: Digest): void {
    const promises = this.#promised.get(digest)
    this.#promisedBytes -= promises?.pop() ?? 0
    if (promises?.length === 0) this.#promised.delete(digest)
  }

  /** The content is there: no promise to it is needed any more. */
  fulfil(digest: Digest): void {
    for (const sizeBytes of this.#promised.get(digest) ?? []) this.#promisedBytes -= sizeBytes
    this.#promised.delete(digest)
  }

  #fits(sizeBytes: number): boolean {
    return this.takenBytes + sizeBytes <= this.#deps.maxBytes
  }

  #promise(sizeBytes: number, digest: Digest | undefined): void {
    if (digest === undefined) return
    const promises = this.#promised.get(digest)
    if (promises === undefined) this.#promised.set(digest, [sizeBytes])
    else promises.push(sizeBytes)
    this.#promisedBytes += sizeBytes
  }
}
