// Reads what is stored again, and looks whether it is still what its digest says. What is not goes to quarantine, so that
// clients get a 404 rather than wrong bytes: pushed content can be pushed again, mirrored content is fetched again.
import { matchesAny } from '../name-pattern.ts'
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { algorithmOf, Hasher, isDigest, type Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import { listLinkPlaces } from '../storage/catalog.ts'
import { PathNotFoundError, StorageError, type FileInfo } from '../storage/driver/driver.ts'
import { unlessAbsent } from '../storage/driver/unless-absent.ts'
import { baseName, layout } from '../storage/layout.ts'
import { ByteRate } from '../upstream/byte-rate.ts'
import type { Clock } from '../clock.ts'
import { followLinksBelow, type FollowedLink } from './links-below.ts'

export interface ScrubDeps {
  readonly stores: Stores
  readonly clock: Clock
  /** Fetches mirrored content for a repository; undefined where no mirror runs. */
  readonly refetch?: Refetch | undefined
  readonly observe?: ((event: ScrubCount) => void) | undefined
}

export type Refetch = (
  name: RepositoryName,
  kind: 'blob' | 'manifest',
  digest: Digest,
  options: CallOptions,
) => Promise<void>

export type ScrubCount = { readonly kind: 'checked'; readonly bytes: number } | { readonly kind: 'damaged' }

export interface ScrubOptions extends CallOptions {
  /** A pattern for repositories, see name-pattern.ts; undefined: all that is stored. */
  readonly repository?: string | undefined
  /** undefined: as fast as it goes. */
  readonly bytesPerSecond?: number | undefined
  readonly dryRun: boolean
  /** Whether mirrored content that was damaged is fetched again at once. */
  readonly refetch: boolean
}

export type ScrubEvent =
  | { readonly kind: 'progress'; readonly blobs: number; readonly bytes: number }
  | {
      readonly kind: 'damaged'
      readonly digest: Digest
      readonly size: number
      /** What is wrong: the digest of what is there, or why it cannot be read. */
      readonly found: string
      readonly action: 'none' | 'quarantined' | 'refetched'
    }
  | {
      readonly kind: 'missing'
      readonly name: RepositoryName
      readonly link: 'layer' | 'manifest'
      readonly digest: Digest
    }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'done'; readonly report: ScrubReport }

export interface ScrubReport {
  readonly blobs: number
  readonly bytes: number
  readonly damaged: number
  readonly quarantined: number
  readonly refetched: number
  /** Links to blobs that are not there. */
  readonly missing: number
}

type Counts = { -readonly [K in keyof ScrubReport]: ScrubReport[K] }

const progressMs = 500
const concurrency = 8
const storedPollMs = 50
const storedWaitMs = 10_000

/** Does its work while it is iterated. The last event is `done`. */
export async function* scrub(
  deps: ScrubDeps,
  options: ScrubOptions,
): AsyncGenerator<ScrubEvent, void, undefined> {
  const { stores, clock } = deps
  const { signal, bytesPerSecond, repository } = options
  const rate = bytesPerSecond === undefined ? undefined : new ByteRate(bytesPerSecond, clock)
  const counts: Counts = { blobs: 0, bytes: 0, damaged: 0, quarantined: 0, refetched: 0, missing: 0 }
  const digests = new Set<Digest>()
  for await (const event of missingLinks(stores, options, digests)) {
    counts.missing++
    yield event
  }
  let toldAtMs = clock.now()
  const all = repository === undefined ? storedDigests(stores, { signal }) : digests
  for await (const digest of all) {
    const file = await unlessAbsent(() => stores.driver.stat(layout.blobContent(digest), { signal }))
    if (file === undefined) continue
    const verdict = new Verification(deps, digest, rate, { signal })
    for await (const bytes of verdict.run()) {
      counts.bytes += bytes
      deps.observe?.({ kind: 'checked', bytes })
      if (clock.now() - toldAtMs < progressMs) continue
      toldAtMs = clock.now()
      yield { kind: 'progress', blobs: counts.blobs, bytes: counts.bytes }
    }
    if (verdict.isGone) continue
    counts.blobs++
    if (verdict.problem === undefined) continue
    counts.damaged++
    deps.observe?.({ kind: 'damaged' })
    const action = await mend(deps, options, digest, file, verdict)
    if (action !== 'none') counts.quarantined++
    if (action === 'refetched') counts.refetched++
    yield { kind: 'damaged', digest, size: file.size, found: verdict.problem, action }
  }
  yield { kind: 'done', report: counts }
}

/** One look at a blob. */
class Verification {
  problem: string | undefined
  /** It was read to its end, and is not what it should be. */
  isWrong = false
  isGone = false
  readonly #deps: ScrubDeps
  readonly #digest: Digest
  readonly #rate: ByteRate | undefined
  readonly #options: CallOptions

  constructor(deps: ScrubDeps, digest: Digest, rate: ByteRate | undefined, options: CallOptions) {
    this.#deps = deps
    this.#digest = digest
    this.#rate = rate
    this.#options = options
  }

  /** Yields the bytes of each piece that was looked at. */
  async *run(): AsyncGenerator<number, void, undefined> {
    const { driver } = this.#deps.stores
    const hasher = new Hasher(algorithmOf(this.#digest))
    try {
      for await (const chunk of await driver.read(layout.blobContent(this.#digest), this.#options)) {
        const { length } = chunk as Buffer
        hasher.update(chunk as Buffer)
        await this.#rate?.take(length, this.#options)
        yield length
      }
    } catch (err) {
      this.#options.signal?.throwIfAborted()
      if (err instanceof PathNotFoundError) this.isGone = true
      else if (err instanceof StorageError || isSystemError(err))
        this.problem = `cannot be read: ${messageOf(err)}`
      else throw err
      return
    }
    const found = hasher.digest()
    this.isWrong = found !== this.#digest
    if (this.isWrong) this.problem = found
  }
}

function isSystemError(err: unknown): boolean {
  return err instanceof Error && 'syscall' in err
}

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}

/** What cannot be read is left where it is: that may be the storage's trouble, and pass. */
async function mend(
  { stores, clock, refetch }: ScrubDeps,
  options: ScrubOptions,
  digest: Digest,
  seen: FileInfo,
  { isWrong }: Verification,
): Promise<'none' | 'quarantined' | 'refetched'> {
  if (!isWrong || options.dryRun) return 'none'
  const { blobs, driver, manifests, mirroredContent } = stores
  const { signal } = options
  const entry = await mirroredContent.find(digest, { signal })
  const moved = await blobs.removeIf(
    digest,
    async file => {
      // Somebody may have replaced it since it was read.
      if (file.modifiedAtMs !== seen.modifiedAtMs || file.size !== seen.size) return false
      await driver.move(layout.blobContent(digest), layout.quarantined(digest))
      return true
    },
    { signal, evenIfRead: true },
  )
  if (moved === undefined) return 'none'
  manifests.forget(digest)
  const [name] = entry?.repositories ?? []
  if (!options.refetch || refetch === undefined || entry === undefined || name === undefined)
    return 'quarantined'
  try {
    await refetch(name, entry.kind, digest, { signal })
    return (await isStored(stores, digest, clock, { signal })) ? 'refetched' : 'quarantined'
  } catch {
    signal?.throwIfAborted()
    return 'quarantined'
  }
}

/** Whoever reads what is fetched may have all of it a little before it is stored. */
async function isStored(
  { blobs }: Pick<Stores, 'blobs'>,
  digest: Digest,
  clock: Clock,
  options: CallOptions,
): Promise<boolean> {
  for (let waitedMs = 0; (await blobs.lookUp(digest, options)) === undefined; waitedMs += storedPollMs) {
    if (waitedMs >= storedWaitMs) return false
    await clock.sleep(storedPollMs, options)
  }
  return true
}

async function* storedDigests(
  { driver }: Pick<Stores, 'driver'>,
  options: CallOptions,
): AsyncGenerator<Digest, void, undefined> {
  for await (const { path } of driver.walk(layout.blobs, options)) {
    const [algorithm, , hex] = path.slice(layout.blobs.length + 1).split('/')
    const digest = `${algorithm}:${hex}`
    if (baseName(path) === 'data' && isDigest(digest)) yield digest
  }
}

/** Also adds what is linked, if only some repositories are asked for, to `digests`. */
async function* missingLinks(
  { driver }: Pick<Stores, 'driver'>,
  { repository, signal }: ScrubOptions,
  digests: Set<Digest>,
): AsyncGenerator<ScrubEvent, void, undefined> {
  const isMeant = repository === undefined ? () => true : matchesAny([repository])
  for (const name of await listLinkPlaces(driver, { signal })) {
    if (!isMeant(name)) continue
    for (const [link, directory] of [
      ['layer', layout.layers(name)],
      ['manifest', layout.revisions(name)],
    ] as const) {
      const links = [...(await followLinksBelow(driver, directory, { concurrency, signal })).values()]
      const lost = await inParallel(concurrency, links, async one => (await isLost(one)) && one)
      if (repository !== undefined) for (const { target } of links) digests.add(target)
      for (const one of lost) if (one !== false) yield { kind: 'missing', name, link, digest: one.digest }
    }
  }

  async function isLost({ target, path }: FollowedLink): Promise<boolean> {
    const isThere = async (of: typeof path) =>
      (await unlessAbsent(() => driver.stat(of, { signal }))) !== undefined
    // A link that has gone meanwhile leads nowhere by right.
    return !(await isThere(layout.blobContent(target))) && (await isThere(path))
  }
}
