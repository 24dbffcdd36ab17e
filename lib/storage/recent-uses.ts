// Which content clients were told is here, or have stored, linked or claimed lately, by this process: garbage collection
// leaves it alone, however old its files are. And which changes are under way, so that a collection can begin after those
// that it could see half of. docs/design/008-garbage-collection.md.
import type { Clock } from '../clock.ts'
import type { Digest } from '../oci/digest.ts'

/** A collection's view: what was used from some time before it began until now. */
export interface UsesSince {
  has(digest: Digest): boolean
  /** From now on uses may be forgotten again. */
  end(): void
}

interface Use {
  readonly atMs: number
  readonly turn: number
}

const hourMs = 60 * 60 * 1000
const oldMs = 1000

export class RecentUses {
  readonly #clock: Pick<Clock, 'now'>
  readonly #keepMs: number
  readonly #changes = new Set<Promise<unknown>>()
  /** Two generations: the older one is dropped as a whole. */
  #recent = new Map<Digest, Use>()
  #older = new Map<Digest, Use>()
  #turnedAtMs: number
  #turn = 0
  #watching = 0

  /** Uses are remembered for `keepMs` at least, and for as long as somebody looks at them. */
  constructor(clock: Pick<Clock, 'now'>, keepMs = hourMs) {
    this.#clock = clock
    this.#keepMs = keepMs
    this.#turnedAtMs = clock.now()
  }

  /**
   * To be called before it is looked for, or within the lock of who changes it. What is returned takes it back, if
   * nobody has used it since: for who finds that it is not there.
   */
  touch(digest: Digest): () => void {
    const atMs = this.#clock.now()
    if (this.#watching === 0 && Math.abs(atMs - this.#turnedAtMs) > this.#keepMs) {
      this.#older = this.#recent
      this.#recent = new Map()
      this.#turnedAtMs = atMs
    }
    const before = this.#recent.get(digest)
    const use = { atMs, turn: ++this.#turn }
    this.#recent.set(digest, use)
    return () => {
      for (const uses of [this.#recent, this.#older]) {
        if (uses.get(digest) !== use) continue
        if (before === undefined) uses.delete(digest)
        else uses.set(digest, before)
      }
    }
  }

  /** Whether a collection could take what was written then for old; see BlobStore.adopt(). */
  isOld(modifiedAtMs: number): boolean {
    return Math.abs(this.#clock.now() - modifiedAtMs) > oldMs
  }

  /** Runs `work`, which makes content reachable in several steps. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const running = work()
    this.#changes.add(running)
    try {
      return await running
    } finally {
      this.#changes.delete(running)
    }
  }

  /** What is used from `sinceMs` on. Settles when the changes that are under way have ended. */
  async watch(sinceMs: number): Promise<UsesSince> {
    const began = this.#turn
    this.#watching++
    let isWatching = true
    await Promise.allSettled(this.#changes)
    return {
      has: digest => {
        const use = this.#recent.get(digest) ?? this.#older.get(digest)
        return use !== undefined && (use.turn > began || use.atMs >= sinceMs)
      },
      end: () => {
        if (isWatching) this.#watching--
        isWatching = false
      },
    }
  }
}
