// What is kept of blobs that did not arrive in whole, for the next fill of each to go on with. It is a memory aid and
// never a source: nobody reads it but a fill that has taken it out, that the upstream has confirmed for the repository
// that asks, and that verifies the whole before it gives out the last byte. Losing it costs a download.
//
// Several processes may share it. A fill takes a file over by moving it to a path of its own, which only one can do.
// Bounded: at most so many files and bytes, and none older than a day; the oldest go first.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { maxPartialAgeMs, minPartialBytes, removeAbandonedFills } from './abandoned-fills.ts'
import type { AbandonedFillsOptions } from './abandoned-fills.ts'
import type { BlobStore } from './blob-store.ts'
import type { StorageDriver, StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { digestOfFill, layout } from './layout.ts'
import { stageKept, type BlobWriter } from './staged-blobs.ts'

export interface PartialFillsDeps {
  readonly driver: StorageDriver
  readonly blobs: Pick<BlobStore, 'adopt'>
  readonly clock: Clock
  /** Default: 16. */
  readonly maxFiles?: number | undefined
  /** Of all together; default: no limit but that of the files. */
  readonly maxBytes?: number | undefined
}

/** What tidy() has found. */
export interface TidyResult {
  /** Fills of processes that died. */
  readonly abandoned: number
  /** Kept content that was too old or too much. */
  readonly removed: number
}

interface Partial {
  readonly path: StoragePath
  readonly digest: Digest
  readonly size: number
  readonly modifiedAtMs: number
}

export class PartialFills {
  readonly #deps: PartialFillsDeps
  /** Bytes by digest, as of the last look. */
  #sizes = new Map<Digest, number>()

  constructor(deps: PartialFillsDeps) {
    this.#deps = deps
  }

  /** Bytes of all that is kept, as far as this process knows: as of the last tidy() or keep(), less what was taken. */
  sizeBytes(): number {
    let sum = 0
    for (const size of this.#sizes.values()) sum += size
    return sum
  }

  /** How many bytes of the blob are kept; undefined if none are. */
  async find(digest: Digest, options?: CallOptions): Promise<number | undefined> {
    const size = (await unlessAbsent(() => this.#deps.driver.stat(layout.partialFill(digest), options)))?.size
    return size === 0 ? undefined : size
  }

  /**
   * Takes out what is kept of the blob: a writer that goes on after it; undefined if there is nothing any more. The
   * caller commits, keeps or cancels it, and releases it.
   */
  async take(digest: Digest, options?: CallOptions): Promise<BlobWriter | undefined> {
    const { driver, blobs } = this.#deps
    const adopt: BlobStore['adopt'] = (...args) => blobs.adopt(...args)
    const writer = await stageKept({ driver, adopt }, digest, options)
    this.#sizes.delete(digest)
    return writer
  }

  /** Ends a fill that may be gone on with: keeps what it has, if that is worth it and there is room. */
  async keep(writer: BlobWriter): Promise<void> {
    if (writer.bytesWritten < minPartialBytes) return await writer.cancel()
    await writer.keep()
    await this.#limit()
  }

  /** Removes what is kept of one blob. */
  async remove(digest: Digest, options?: CallOptions): Promise<void> {
    this.#sizes.delete(digest)
    await this.#deps.driver.remove(layout.partialFill(digest), options)
  }

  /** Finds what processes that died have left, and removes what is too old or too much. For the start and a schedule. */
  async tidy(options: AbandonedFillsOptions = {}): Promise<TidyResult> {
    const { driver, clock } = this.#deps
    const abandoned = await removeAbandonedFills(driver, clock, options)
    return { abandoned, removed: await this.#limit({ signal: options.signal }) }
  }

  async #limit(options?: CallOptions): Promise<number> {
    const { driver, clock, maxFiles = 16, maxBytes = Infinity } = this.#deps
    const sizes = new Map<Digest, number>()
    let bytes = 0
    let removed = 0
    for (const { digest, path, size, modifiedAtMs } of await this.#newestFirst(options)) {
      const fits = sizes.size < maxFiles && bytes + size <= maxBytes
      if (fits && clock.now() - modifiedAtMs < maxPartialAgeMs) {
        sizes.set(digest, size)
        bytes += size
      } else {
        await driver.remove(path, options)
        removed++
      }
    }
    this.#sizes = sizes
    return removed
  }

  async #newestFirst(options?: CallOptions): Promise<readonly Partial[]> {
    const found: Partial[] = []
    for await (const { path, size, modifiedAtMs } of this.#deps.driver.walk(layout.partialFills, options)) {
      const digest = digestOfFill(path)
      if (digest !== undefined) found.push({ path, digest, size, modifiedAtMs })
    }
    return found.toSorted((a, b) => b.modifiedAtMs - a.modifiedAtMs)
  }
}
