// Which content is the mirror's own: fetched from an upstream and pushed by nobody. Only that may ever be evicted. Each
// has a durable marker (mirrored-marker.ts); all of them are kept in memory, too, with the sum of their bytes.
//
// What belongs together is done under one lock per digest, which the blob store takes:
//
//   a fill      looks whether the content is there; marks it; moves it to its place
//   a push      claims it: the marker goes; looks whether it is there; moves it to its place
//   eviction    looks whether it is marked, and nobody reads it; unlinks it; removes the bytes; then the marker
//
// so that no order of the three loses what was pushed. A crash leaves at most a marker without content, which goes when
// the markers are next read. Until they all are (start()), storage is asked for what memory does not know.
// docs/design/006-eviction.md.
import type { Clock } from '../clock.ts'
import { inParallel } from '../in-parallel.ts'
import { abortable, KeyedLock } from '../keyed-lock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { StorageDriver } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'
import { eraseMarker, readMarker, walkMarkers, writeMarker, type Marker } from './mirrored-marker.ts'

/** Mirrored content. */
export interface MirroredEntry extends Marker {
  readonly digest: Digest
  /** Milliseconds since the epoch; of its latest link, if that is later. */
  readonly markedAtMs: number
}

/** Told when bytes of mirrored content are added or have gone, in the turn that it happens in; must not throw. */
export interface MirroredContentWatcher {
  added(entry: MirroredEntry): void
  removed(entry: MirroredEntry): void
}

export interface MirroredContentDeps {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly logger: Logger
}

/** How many markers are read at once, and how many are taken from the walk at a time. */
const concurrency = 32
const batchSize = 1024

export class MirroredContent {
  readonly #driver: StorageDriver
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #locks = new KeyedLock()
  readonly #entries = new Map<Digest, MirroredEntry>()
  readonly #readers = new Map<Digest, number>()
  /** One copy of each name, however many entries have it. */
  readonly #names = new Map<RepositoryName, RepositoryName>()
  readonly #watchers = new Set<MirroredContentWatcher>()
  readonly #stopping = new AbortController()
  #usedBytes = 0
  #isLoaded = false
  #loading: Promise<boolean> | undefined

  constructor({ driver, clock, logger }: MirroredContentDeps) {
    this.#driver = driver
    this.#clock = clock
    this.#logger = logger
  }

  /** Bytes of all mirrored content that is known. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** How many entries are known. */
  get count(): number {
    return this.#entries.size
  }

  get isLoaded(): boolean {
    return this.#isLoaded
  }

  /** Begins to read the markers, in the background. */
  start(): void {
    void this.loaded()
  }

  /** Whether all markers have been read; reads them if need be. False, and logged, if that has failed. */
  async loaded({ signal }: CallOptions = {}): Promise<boolean> {
    if (this.#isLoaded) return true
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined))
    return abortable(this.#loading, signal)
  }

  /** Stops reading markers; to be called before the driver is closed. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error('Cannot read markers: shutting down'))
    await this.#loading
  }

  /** What memory knows: everything, once all markers have been read. */
  get(digest: Digest): MirroredEntry | undefined {
    return this.#entries.get(digest)
  }

  /** Like get(), but asks storage as long as there are markers to be read. */
  async find(digest: Digest, options?: CallOptions): Promise<MirroredEntry | undefined> {
    const known = this.#entries.get(digest)
    if (known !== undefined || this.#isLoaded) return known
    const marker = await readMarker(this.#driver, digest, options)
    return marker && { ...marker, digest, markedAtMs: this.#clock.now() }
  }

  /** All that is known, in no order. It may change while it is gone through. */
  entries(): IterableIterator<MirroredEntry> {
    return this.#entries.values()
  }

  watch(watcher: MirroredContentWatcher): void {
    this.#watchers.add(watcher)
  }

  /** Runs `work` while nobody else marks, claims, links or removes this content. */
  exclusively<T>(digest: Digest, work: () => Promise<T>, options?: CallOptions): Promise<T> {
    return this.#locks.run(digest, work, options)
  }

  /** Somebody reads it from now on, until what is returned is called; calling that again does nothing. */
  hold(digest: Digest): () => void {
    this.#readers.set(digest, (this.#readers.get(digest) ?? 0) + 1)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      const left = (this.#readers.get(digest) ?? 0) - 1
      if (left > 0) this.#readers.set(digest, left)
      else this.#readers.delete(digest)
    }
  }

  isHeld(digest: Digest): boolean {
    return this.#readers.has(digest)
  }

  /**
   * Within exclusively(): marks content that is about to become visible, or adds what is new to its marker. Durable.
   * The caller sees to it that it is not there unmarked: that was pushed.
   */
  async mark(digest: Digest, marker: Marker, options?: CallOptions): Promise<void> {
    const known = await this.find(digest, options)
    const repositories = [...new Set([...(known?.repositories ?? []), ...marker.repositories])]
    // What is read as a blob, too, is still a manifest.
    const { kind, refs } = known?.kind === 'manifest' ? known : marker
    const isNews =
      known?.kind !== kind || known.size !== marker.size || repositories.length > known.repositories.length
    if (isNews)
      await writeMarker(this.#driver, digest, { kind, size: marker.size, repositories, refs }, options)
    this.#set({
      digest,
      kind,
      size: marker.size,
      repositories,
      refs,
      markedAtMs: isNews ? this.#clock.now() : known.markedAtMs,
    })
  }

  /** Within exclusively(): it is not the mirror's own any more, or it is gone. Durable. */
  async unmark(digest: Digest, options?: CallOptions): Promise<void> {
    await eraseMarker(this.#driver, digest, options)
    this.#delete(digest)
  }

  /** Within exclusively(): whether storage says so, too, which another process may have changed. */
  async isMarked(digest: Digest, options?: CallOptions): Promise<boolean> {
    return (await readMarker(this.#driver, digest, options)) !== undefined
  }

  /**
   * Remembers that this repository links it, if it is mirrored; `work` writes that link, so that eviction comes before
   * or after both.
   */
  async link(
    digest: Digest,
    repository: RepositoryName,
    work: () => Promise<void> = async () => {},
    options?: CallOptions,
  ): Promise<void> {
    const linking = async () => {
      const known = await this.find(digest, options)
      if (known !== undefined && !known.repositories.includes(repository)) {
        await this.mark(digest, { ...known, repositories: [repository] }, options)
      }
      await work()
    }
    return (await this.find(digest, options)) === undefined
      ? work()
      : this.exclusively(digest, linking, options)
  }

  /** Forgets that this repository links it; `work` removes the link before. Nothing if it is not mirrored any more. */
  async unlink(
    digest: Digest,
    repository: RepositoryName,
    work: () => Promise<void>,
    options?: CallOptions,
  ): Promise<void> {
    await this.exclusively(
      digest,
      async () => {
        const known = await this.find(digest, options)
        if (!known?.repositories.includes(repository) || !(await this.isMarked(digest, options))) return
        await work()
        const entry = { ...known, repositories: known.repositories.filter(name => name !== repository) }
        await writeMarker(this.#driver, digest, entry, options)
        this.#set(entry)
      },
      options,
    )
  }

  /** Never rejects; whether it got to the end. */
  async #load(): Promise<boolean> {
    const { signal } = this.#stopping
    try {
      let batch: Marked[] = []
      for await (const marked of walkMarkers(this.#driver, { signal })) {
        if (batch.push(marked) < batchSize) continue
        await inParallel(concurrency, batch, one => this.#takeIn(one, signal))
        batch = []
      }
      await inParallel(concurrency, batch, one => this.#takeIn(one, signal))
    } catch (err) {
      if (!signal.aborted) this.#logger.error({ err }, 'cannot read which content is mirrored')
      return false
    }
    this.#isLoaded = true
    const { count, usedBytes } = this
    if (count > 0) this.#logger.info({ entries: count, bytes: usedBytes }, 'mirrored content is known')
    return true
  }

  async #takeIn({ digest, modifiedAtMs }: Marked, signal: AbortSignal): Promise<void> {
    const options = { signal }
    const work = async () => {
      if (this.#entries.has(digest)) return // It was marked, or linked, meanwhile.
      const marker = await readMarker(this.#driver, digest, options)
      const file = await unlessAbsent(() => this.#driver.stat(layout.blobContent(digest), options))
      if (marker === undefined || file === undefined) {
        // What cannot be erased, as where nothing may be written, is passed over the next time, too.
        return eraseMarker(this.#driver, digest, options).catch(() => {})
      }
      // A clock that was set back must not make it young for ever.
      this.#set({
        ...marker,
        digest,
        size: file.size,
        markedAtMs: Math.min(modifiedAtMs, this.#clock.now()),
      })
    }
    await this.exclusively(digest, work, options)
  }

  #set({ digest, kind, size, repositories, refs, markedAtMs }: MirroredEntry): void {
    const before = this.#entries.get(digest)
    const entry: MirroredEntry = {
      digest: before?.digest ?? digest,
      kind,
      size,
      repositories: repositories.map(name => this.#oneCopyOf(name)),
      refs: refs.length === 0 ? noRefs : refs.map(ref => this.#entries.get(ref)?.digest ?? ref),
      markedAtMs,
    }
    this.#entries.set(entry.digest, entry)
    this.#usedBytes += size - (before?.size ?? 0)
    if (before !== undefined && before.size !== size)
      for (const watcher of this.#watchers) watcher.removed(before)
    if (before?.size !== size) for (const watcher of this.#watchers) watcher.added(entry)
  }

  #delete(digest: Digest): void {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return
    this.#entries.delete(digest)
    this.#usedBytes -= entry.size
    for (const watcher of this.#watchers) watcher.removed(entry)
  }

  #oneCopyOf(name: RepositoryName): RepositoryName {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    // Bounds memory only: names that were forgotten are kept twice.
    if (this.#names.size >= maxNames) this.#names.clear()
    this.#names.set(name, name)
    return name
  }
}

interface Marked {
  readonly digest: Digest
  readonly modifiedAtMs: number
}

const noRefs: readonly Digest[] = []
const maxNames = 100_000
