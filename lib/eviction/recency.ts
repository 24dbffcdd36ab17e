// When each piece of content was last used. Kept in memory, where saying so costs next to nothing, and written down now
// and then, so that a restart does not make everything equally old: what was used since the last time is lost with a
// crash, and nothing else. The files are shards, by the beginning of the digest, of which only the changed ones are
// written; a line is a digest and a time, and one that is none is passed over.
import type { Clock } from '../clock.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { hexOf, isDigest, type Digest } from '../oci/digest.ts'
import type { StorageDriver, StoragePath } from '../storage/driver/driver.ts'
import { unlessAbsent } from '../storage/driver/unless-absent.ts'
import { baseName, layout } from '../storage/layout.ts'

export interface RecencyDeps {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly logger: Logger
  /** Bounds memory; uses of further content are not remembered. Default 2,000,000. */
  readonly maxEntries?: number
}

interface Shard {
  readonly uses: Map<Digest, number>
  isChanged: boolean
}

export class Recency {
  readonly #deps: RecencyDeps
  readonly #maxEntries: number
  readonly #shards = new Map<string, Shard>()
  readonly #saving = new KeyedLock()
  #loading: Promise<void> | undefined
  #count = 0

  constructor(deps: RecencyDeps) {
    this.#deps = deps
    this.#maxEntries = deps.maxEntries ?? 2_000_000
  }

  /** It is used now. */
  used(digest: Digest): void {
    this.#set(digest, this.#deps.clock.now())
  }

  /** Milliseconds since the epoch; undefined: not that anybody remembers. */
  lastUse(digest: Digest): number | undefined {
    return this.#shards.get(shardOf(digest))?.uses.get(digest)
  }

  forget(digest: Digest): void {
    const shard = this.#shards.get(shardOf(digest))
    if (!shard?.uses.delete(digest)) return
    this.#count--
    shard.isChanged = true
  }

  /** Forgets what `isWanted` does not know. */
  prune(isWanted: (digest: Digest) => boolean): void {
    for (const { uses } of this.#shards.values()) {
      for (const digest of uses.keys()) if (!isWanted(digest)) this.forget(digest)
    }
  }

  /** Adds what was written down to what is in memory, once. Never rejects: without it, content counts as older. */
  load(): Promise<void> {
    return (this.#loading ??= this.#load())
  }

  /** Writes down what has changed. Never rejects: what could not be written is tried again the next time. */
  async save(options?: CallOptions): Promise<void> {
    if (![...this.#shards.values()].some(({ isChanged }) => isChanged)) return
    await this.load() // Or a file would lose all that was not used since.
    try {
      await this.#saving.run('save', () => this.#saveShards(options), options)
    } catch (err) {
      if (!options?.signal?.aborted) {
        this.#deps.logger.warn({ err }, 'cannot write down when mirrored content was last used')
      }
    }
  }

  async #load(): Promise<void> {
    const { driver, logger } = this.#deps
    try {
      for (const path of (await unlessAbsent(() => driver.list(layout.recency))) ?? [])
        await this.#loadShard(path)
    } catch (err) {
      logger.warn({ err }, 'cannot read when mirrored content was last used')
    }
  }

  async #loadShard(path: StoragePath): Promise<void> {
    if (!/^[0-9a-f]{2}$/.test(baseName(path))) return
    const bytes = await unlessAbsent(() => this.#deps.driver.readAll(path))
    const nowMs = this.#deps.clock.now()
    for (const line of (bytes?.toString('latin1') ?? '').split('\n')) {
      const [digest = '', time = ''] = line.split(' ')
      const usedAtMs = /^[0-9]{1,15}$/.test(time) ? Number(time) : undefined
      if (usedAtMs === undefined || !isDigest(digest)) continue
      // A clock that was set back must not make content young for ever.
      const latestMs = Math.max(Math.min(usedAtMs, nowMs), this.lastUse(digest) ?? 0)
      const { isChanged } = this.#shard(digest)
      this.#set(digest, latestMs)
      this.#shard(digest).isChanged = isChanged
    }
  }

  async #saveShards(options?: CallOptions): Promise<void> {
    const { driver } = this.#deps
    for (const [name, shard] of this.#shards) {
      if (!shard.isChanged) continue
      shard.isChanged = false // What changes while it is written is for the next time.
      const lines = Array.from(shard.uses, ([digest, usedAtMs]) => `${digest} ${usedAtMs}\n`)
      const path = layout.recencyShard(name)
      try {
        // Not durable: a power cut may lose it, as it loses what was used since.
        if (lines.length === 0) await driver.remove(path, options)
        else await driver.writeAll(path, Buffer.from(lines.join('')), { ...options, durable: false })
      } catch (err) {
        shard.isChanged = true
        throw err
      }
    }
  }

  #set(digest: Digest, usedAtMs: number): void {
    const shard = this.#shard(digest)
    if (!shard.uses.has(digest)) {
      if (this.#count >= this.#maxEntries) return
      this.#count++
    }
    shard.uses.set(digest, usedAtMs)
    shard.isChanged = true
  }

  #shard(digest: Digest): Shard {
    const name = shardOf(digest)
    const known = this.#shards.get(name)
    if (known !== undefined) return known
    const shard: Shard = { uses: new Map(), isChanged: false }
    this.#shards.set(name, shard)
    return shard
  }
}

function shardOf(digest: Digest): string {
  return hexOf(digest).slice(0, 2)
}
