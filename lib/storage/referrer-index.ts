// Which manifests name another as their subject. A referrer has a link file below its subject's folder, and nothing
// ever takes one away but garbage collection: the index says where to look, and whether a repository holds a referrer
// now is asked of its revision. So that no order of pushes and deletions, by whomever, needs a lock:
//
// 1. A push writes the index entry first and the revision link second. Whoever sees the revision finds the entry.
// 2. A deletion removes the revision link alone. An entry that is left over is passed over by every listing.
//
// Other programs write revisions without entries. A repository's revisions are therefore read once, before its first
// listing, and a marker says that this was done. docs/design/004-referrers.md.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { BlobUnknownError, RegistryError } from '../oci/errors.ts'
import { maxManifestBytes, parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { SingleFlight } from '../single-flight.ts'
import type { BlobStore } from './blob-store.ts'
import type { StorageDriver, StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { baseName, layout } from './layout.ts'
import { CorruptLinkError, hasLink, readLink } from './links.ts'

export interface ReferrerIndex {
  /** Durable; to be called before the referrer's revision is linked. */
  add(name: RepositoryName, subject: Digest, referrer: Digest, options?: CallOptions): Promise<void>
  /**
   * In byte order, every manifest of this repository that names `subject`, and some that it no longer holds. The first
   * call for a repository reads all its manifests.
   */
  candidates(name: RepositoryName, subject: Digest, options?: CallOptions): Promise<readonly Digest[]>
}

export interface ReferrerIndexDeps {
  readonly driver: StorageDriver
  readonly blobs: Pick<BlobStore, 'readAll'>
  /** How many manifests are read at once when all of a repository's are looked through. */
  readonly concurrency?: number
}

export function createReferrerIndex({ driver, blobs, concurrency = 8 }: ReferrerIndexDeps): ReferrerIndex {
  const walks = new SingleFlight()
  /** Repositories whose marker was seen: it never goes. */
  const indexed = new Set<RepositoryName>()

  const add: ReferrerIndex['add'] = (name, subject, referrer, options) =>
    driver.writeAll(layout.referrerLink(name, subject, referrer), Buffer.from(referrer), options)

  async function indexOnce(name: RepositoryName): Promise<void> {
    const marker = layout.referrersIndexed(name)
    if (!(await hasLink(driver, marker))) {
      const revisions = await digestsBelow(driver, layout.revisions(name))
      // A repository that does not exist must not come into being by being asked about.
      if (revisions === undefined) return
      await inParallel(concurrency, revisions, revision => indexRevision(name, revision))
      await driver.writeAll(marker, Buffer.from('1'))
    }
    if (indexed.size >= maxRemembered) indexed.clear()
    indexed.add(name)
  }

  async function indexRevision(name: RepositoryName, revision: Digest): Promise<void> {
    const subject = await subjectOfRevision(name, revision)
    if (subject !== undefined) await add(name, subject, revision)
  }

  /** Undefined also for what is broken: it has no referrer to show, and must not keep the others from being found. */
  async function subjectOfRevision(name: RepositoryName, revision: Digest): Promise<Digest | undefined> {
    try {
      const target = await readLink(driver, layout.revisionLink(name, revision))
      return target === undefined ? undefined : subjectOf(await blobs.readAll(target))
    } catch (err) {
      if (err instanceof CorruptLinkError || err instanceof BlobUnknownError) return undefined
      throw err
    }
  }

  return {
    add,
    async candidates(name, subject, options) {
      // Whoever asked may leave; the walk is for all who will.
      if (!indexed.has(name)) await walks.run(name, () => indexOnce(name), options)
      return (await digestsBelow(driver, layout.referrers(name, subject), options)) ?? []
    },
  }
}

/** Bounds memory only: a marker that was forgotten is looked at again. */
const maxRemembered = 100_000

/** The subject that a manifest names; undefined if it has none, or is no manifest. */
export function subjectOf(bytes: Buffer): Digest | undefined {
  if (bytes.length > maxManifestBytes) return undefined
  try {
    return parseManifest(bytes).subject?.digest
  } catch (err) {
    if (err instanceof RegistryError) return undefined
    throw err
  }
}

/** The digests that folders `<algorithm>/<hex>` name, in byte order; undefined if there is no such folder. */
async function digestsBelow(
  driver: StorageDriver,
  directory: StoragePath,
  options?: CallOptions,
): Promise<readonly Digest[] | undefined> {
  const algorithms = await childrenOf(driver, directory, options)
  if (algorithms === undefined) return undefined
  const found: Digest[] = []
  for (const algorithm of algorithms) {
    for (const child of (await childrenOf(driver, algorithm, options)) ?? []) {
      const digest = `${baseName(algorithm)}:${baseName(child)}`
      if (isDigest(digest)) found.push(digest)
    }
  }
  return found.toSorted()
}

async function childrenOf(
  driver: StorageDriver,
  directory: StoragePath,
  options?: CallOptions,
): Promise<readonly StoragePath[] | undefined> {
  return unlessAbsent(() => driver.list(directory, options))
}
