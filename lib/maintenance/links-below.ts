// The link files of a repository, and what is in them, however many there are.
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import type { StorageDriver, StoragePath } from '../storage/driver/driver.ts'
import { CorruptLinkError, readLink } from '../storage/links.ts'
import { inTurns, withTurns } from './in-turns.ts'

export interface LinkFile {
  readonly digest: Digest
  readonly path: StoragePath
  readonly modifiedAtMs: number
}

export interface FollowedLink extends LinkFile {
  /** What it points to; where it is broken, what its path says. */
  readonly target: Digest
  readonly isBroken: boolean
}

const batchSize = 1024

/** Files `<algorithm>/<hex>/link` below `directory`. */
export async function* linksBelow(
  driver: StorageDriver,
  directory: StoragePath,
  options?: CallOptions,
): AsyncGenerator<LinkFile, void, undefined> {
  for await (const { path, modifiedAtMs } of withTurns(driver.walk(directory, options))) {
    const [algorithm, hex, file, ...rest] = path.slice(directory.length + 1).split('/')
    const digest = `${algorithm}:${hex}`
    if (file === 'link' && rest.length === 0 && isDigest(digest)) yield { digest, path, modifiedAtMs }
  }
}

/** All of them, with what they point to; those that go meanwhile are left out. */
export async function followLinksBelow(
  driver: StorageDriver,
  directory: StoragePath,
  { concurrency, ...options }: CallOptions & { readonly concurrency: number },
): Promise<ReadonlyMap<Digest, FollowedLink>> {
  const found = new Map<Digest, FollowedLink>()
  const follow = async (link: LinkFile): Promise<void> => {
    const target = await targetOf(driver, link, options)
    if (target === undefined) return
    found.set(link.digest, { ...link, target: target || link.digest, isBroken: target === '' })
  }
  for await (const batch of inBatches(linksBelow(driver, directory, options), batchSize))
    await inTurns(concurrency, batch, follow)
  return found
}

/** Empty: it is broken. */
async function targetOf(
  driver: StorageDriver,
  { path }: LinkFile,
  options: CallOptions,
): Promise<Digest | '' | undefined> {
  try {
    return await readLink(driver, path, options)
  } catch (err) {
    if (err instanceof CorruptLinkError) return ''
    throw err
  }
}

/** `items` in lists of `size`, the last one shorter. */
export async function* inBatches<T>(
  items: AsyncIterable<T>,
  size: number,
): AsyncGenerator<readonly T[], void, undefined> {
  let batch: T[] = []
  for await (const item of items) {
    if (batch.push(item) < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
