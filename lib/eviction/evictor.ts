// Keeps mirrored content within its disk. It is what the mirror knows as Keeping (proxy/keeping.ts).
//
// There is one loop, which runs while somebody waits for room, or from the moment that the high watermark is passed
// until the low one is reached, or when content has been unused for too long. It plans once (plan.ts), and removes one
// piece after the other in that order (removal.ts). After each it looks who may go on (room.ts); one for whom there
// cannot be enough is told so before anything is removed for them.
// docs/design/006-eviction.md.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Digest } from '../oci/digest.ts'
import type { Stores } from '../registry/local.ts'
import type { MirroredEntry } from '../storage/mirrored-content.ts'
import type { MirroredTags } from '../storage/mirrored-tags.ts'
import type { Pins } from './pins.ts'
import { planEviction, type Plan, type Victim } from './plan.ts'
import type { Recency } from './recency.ts'
import { createRemoval, type Remove } from './removal.ts'
import { Room, type RoomOptions } from './room.ts'

/** Bytes of mirrored content. */
export interface EvictionLimits {
  /** Never more than this. */
  readonly maxBytes: number
  /** Above it content is removed, in the background, … */
  readonly highBytes: number
  /** … until there is so much. */
  readonly lowBytes: number
}

export type EvictionEvent =
  | { readonly kind: 'evicted'; readonly entry: MirroredEntry; readonly bytes: number }
  /** `bytes` of mirrored content there are now. */
  | { readonly kind: 'used'; readonly bytes: number }

export interface EvictorDeps {
  readonly stores: Pick<Stores, 'blobs' | 'links' | 'manifests' | 'mirroredContent' | 'tags'>
  readonly mirroredTags: Pick<MirroredTags, 'stored'>
  readonly recency: Recency
  readonly pins: Pins
  readonly clock: Clock
  readonly logger: Logger
  /** Whether it is being fetched: then it is not evicted. */
  readonly isFilling: (digest: Digest) => boolean
  /** Undefined: nothing is evicted for want of room. */
  readonly limits?: EvictionLimits | undefined
  /** Content that was not used for so long is removed, milliseconds; undefined: it is not. */
  readonly maxIdleMs?: number | undefined
  readonly observe?: ((event: EvictionEvent) => void) | undefined
}

export interface EvictionCounts {
  /** Bytes that were promised to content which is not there yet. */
  readonly reservedBytes: number
  /** Since the start. */
  readonly evictedBytes: number
  readonly evictedCount: number
}

/** How often it looks around unasked, writes down when content was used, and looks for what is unused for too long. */
const lookMs = 60_000
const saveMs = 5 * 60_000
const mostBetweenIdleLooksMs = 60 * 60_000

export class Evictor {
  readonly #deps: EvictorDeps
  readonly #remove: Remove
  readonly #room: Room
  readonly #stopping = new AbortController()
  #ticking: Promise<void> | undefined
  #running: Promise<void> | undefined
  /** The high watermark was passed, the low one not reached. */
  #isDraining = false
  /** Nothing more could be removed: the next look around tries again. */
  #isFutile = false
  #isIdleLookDue = false
  #evictedBytes = 0
  #evictedCount = 0

  constructor(deps: EvictorDeps) {
    this.#deps = deps
    this.#remove = createRemoval(deps)
    const { mirroredContent } = deps.stores
    const maxBytes = deps.limits?.maxBytes ?? Infinity
    this.#room = new Room({ maxBytes, usedBytes: () => mirroredContent.usedBytes })
    mirroredContent.watch({
      added: entry => this.#added(entry),
      removed: entry => this.#removed(entry),
    })
  }

  get counts(): EvictionCounts {
    return {
      reservedBytes: this.#room.promisedBytes,
      evictedBytes: this.#evictedBytes,
      evictedCount: this.#evictedCount,
    }
  }

  /** Begins to work in the background; keeps no process alive. */
  start(): void {
    this.#ticking ??= this.#tick().catch(() => {}) // It ends by the signal alone.
  }

  /** Ends what is under way, and writes down when content was used. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error('Cannot evict: shutting down'))
    await this.#ticking
    await this.#running
    this.#room.refuseAll()
    await this.#deps.recency.save()
  }

  /** Settles when nothing is being evicted. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  /** Keeping.used(). */
  used(digest: Digest): void {
    const { recency, stores } = this.#deps
    const { mirroredContent } = stores
    if (mirroredContent.get(digest) !== undefined || !mirroredContent.isLoaded) recency.used(digest)
  }

  /** Keeping.makeRoom(). */
  async makeRoom(sizeBytes: number, { digest, signal }: RoomOptions = {}): Promise<boolean> {
    signal?.throwIfAborted()
    const { limits, stores } = this.#deps
    const { mirroredContent } = stores
    if (limits === undefined) return true
    if (sizeBytes > limits.maxBytes) return false
    if (!mirroredContent.isLoaded && !(await mirroredContent.loaded({ signal }))) return false
    const isTaken = this.#room.take(sizeBytes, digest)
    if (!isTaken && this.#stopping.signal.aborted) return false
    const answer = isTaken || this.#room.wait(sizeBytes, { digest, signal })
    this.#go()
    return answer
  }

  /** Keeping.release(). */
  release(digest: Digest): void {
    this.#room.release(digest)
    this.#room.serve(undefined)
  }

  #added(entry: MirroredEntry): void {
    this.#room.fulfil(entry.digest)
    this.#tell()
    this.#go()
  }

  #removed(entry: MirroredEntry): void {
    this.#deps.recency.forget(entry.digest)
    this.#tell()
    this.#room.serve(undefined)
  }

  #tell(): void {
    this.#deps.observe?.({ kind: 'used', bytes: this.#deps.stores.mirroredContent.usedBytes })
  }

  /** Whether there is something to do; looks at the watermarks. */
  #isNeeded(): boolean {
    const { limits } = this.#deps
    if (limits !== undefined) {
      const { takenBytes } = this.#room
      if (takenBytes > limits.highBytes) this.#isDraining = true
      else if (takenBytes <= limits.lowBytes) this.#isDraining = false
    }
    return this.#room.isWaitedFor || (this.#isDraining && !this.#isFutile) || this.#isIdleLookDue
  }

  /** Runs the loop, unless it runs. */
  #go(): void {
    const { mirroredContent } = this.#deps.stores
    if (this.#running !== undefined || this.#stopping.signal.aborted || !mirroredContent.isLoaded) return
    if (!this.#isNeeded()) return
    this.#running = this.#run()
      .catch((err: unknown) => {
        this.#deps.logger.error({ err }, 'cannot evict mirrored content')
        this.#isFutile = true
        this.#isIdleLookDue = false
        this.#room.refuseAll()
      })
      .finally(() => {
        this.#running = undefined
        this.#go() // Somebody may have come while it ended.
      })
  }

  async #run(): Promise<void> {
    const { clock, maxIdleMs, pins, recency, stores } = this.#deps
    await recency.load()
    const { version } = pins
    const pinned = await pins.resolve(stores, { signal: this.#stopping.signal })
    const isKept = (digest: Digest) => pinned.has(digest) || this.#isInUse(digest)
    const plan = planEviction({
      entries: stores.mirroredContent.entries(),
      lastUse: digest => recency.lastUse(digest),
      isKept,
    })
    const unusedSinceMs = this.#isIdleLookDue && maxIdleMs !== undefined ? clock.now() - maxIdleMs : -Infinity
    this.#isIdleLookDue = false
    let { freeableBytes } = plan
    this.#room.serve(freeableBytes)
    for (const victim of plan.victims) {
      if (!this.#isNeeded() && victim.usedAtMs >= unusedSinceMs) return
      if (this.#stopping.signal.aborted || pins.version !== version) return
      const mayGo = () =>
        !isKept(victim.entry.digest) && pins.version === version && !this.#wasUsedSince(victim, plan)
      await this.#evict(victim.entry, mayGo)
      freeableBytes -= victim.entry.size
      this.#room.serve(freeableBytes)
    }
    this.#room.serve(0)
    this.#isFutile = true
  }

  /** Never rejects: what cannot be removed must not keep the rest. */
  async #evict(entry: MirroredEntry, mayGo: () => boolean): Promise<void> {
    const { logger, observe } = this.#deps
    const { digest, kind } = entry
    try {
      const bytes = await this.#remove(entry, mayGo)
      if (bytes === undefined) return
      this.#evictedBytes += bytes
      this.#evictedCount++
      logger.debug({ digest, bytes }, `evicted mirrored ${kind}`)
      observe?.({ kind: 'evicted', entry, bytes })
    } catch (err) {
      logger.warn({ err, digest }, `cannot evict mirrored ${kind}`)
    }
  }

  #isInUse(digest: Digest): boolean {
    return this.#deps.isFilling(digest) || this.#deps.stores.mirroredContent.isHeld(digest)
  }

  #wasUsedSince({ entry, usedAtMs }: Victim, plan: Plan): boolean {
    return [entry.digest, ...plan.ancestorsOf(entry.digest)].some(
      digest => (this.#deps.recency.lastUse(digest) ?? 0) > usedAtMs,
    )
  }

  async #tick(): Promise<void> {
    const { clock, maxIdleMs, recency, stores } = this.#deps
    const { mirroredContent } = stores
    const { signal } = this.#stopping
    const idleLookMs = Math.min((maxIdleMs ?? Infinity) / 10, mostBetweenIdleLooksMs)
    await recency.load()
    let isFirst = true
    for (let [savedAtMs, lookedAtMs] = [clock.now(), clock.now()]; ;) {
      if (await mirroredContent.loaded({ signal })) {
        const nowMs = clock.now()
        if (isFirst) recency.prune(digest => mirroredContent.get(digest) !== undefined)
        if (isFirst || nowMs - lookedAtMs >= idleLookMs) {
          this.#isIdleLookDue = maxIdleMs !== undefined
          lookedAtMs = nowMs
        }
        isFirst = false
        this.#isFutile = false
        this.#tell()
        this.#go()
      }
      await clock.sleep(lookMs, { signal })
      if (clock.now() - savedAtMs < saveMs) continue
      await recency.save({ signal })
      savedAtMs = clock.now()
    }
  }
}
