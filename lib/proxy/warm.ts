// Warming: pulls images through the mirror for nobody, so that whoever wants them later finds them here. It is a client
// like any other: what it fetches is stored, linked and measured as for every pull. Images come one after another, the
// blobs of one a few at a time; one that fails does not stop the others.
import { setMaxListeners } from 'node:events'
import type { Clock } from '../clock.ts'
import { inParallel } from '../in-parallel.ts'
import { describeError } from '../log.ts'
import type { CallOptions, Platform } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { formatImageReference, referenceOf, type ImageReference } from '../oci/image-reference.ts'
import { machinePlatform } from '../oci/platform.ts'
import type { Repository } from '../registry/registry.ts'
import { findContent, type ImageContent } from './warm-content.ts'
import { WarmFeed, type WarmProgress } from './warm-progress.ts'

export interface WarmRequest {
  readonly images: readonly ImageReference[]
  /** Which images of an index; none: that of the machine that this runs on. */
  readonly platforms: readonly Platform[] | 'all'
  /** Also signatures, bills of materials and whatever else refers to the images, and what refers to those. */
  readonly withReferrers: boolean
}

export interface Warmer {
  /**
   * Warms while it is iterated; leaving the iteration, or aborting `signal`, which throws its reason, stops it. Failures
   * of images are events. A fill that has begun goes on by itself, see fills.ts.
   */
  warm(request: WarmRequest, options?: CallOptions): AsyncIterable<WarmProgress>
}

export interface WarmerDeps {
  /** The repository that mirrors the image; throws where its registry is none that is mirrored. */
  repositoryOf(image: ImageReference): Repository
  readonly clock: Clock
}

const blobsAtOnce = 3
const progressIntervalMs = 250

export function createWarmer(deps: WarmerDeps): Warmer {
  return {
    async *warm(request, { signal } = {}) {
      const leaving = new AbortController()
      const stop = AbortSignal.any([leaving.signal, ...(signal === undefined ? [] : [signal])])
      // A few streams at a time listen to it, each several times.
      setMaxListeners(0, stop)
      const feed = new WarmFeed()
      const working = warmAll(deps, request, feed, stop).then(
        () => feed.end(),
        (failure: unknown) => feed.end({ failure }),
      )
      try {
        yield* feed
      } finally {
        leaving.abort()
        await working
      }
    },
  }
}

async function warmAll(
  deps: WarmerDeps,
  { images, ...rest }: WarmRequest,
  feed: WarmFeed,
  signal: AbortSignal,
): Promise<void> {
  const platforms = rest.platforms.length === 0 ? [machinePlatform()] : rest.platforms
  for (const image of images) {
    signal.throwIfAborted()
    const name = formatImageReference(image)
    await feed.add({ kind: 'started', image: name }, { signal })
    try {
      await warmOne(deps, image, { ...rest, platforms }, feed, signal)
    } catch (err) {
      signal.throwIfAborted()
      await feed.add({ kind: 'failed', image: name, message: describeError(err) }, { signal })
    }
  }
}

async function warmOne(
  { clock, repositoryOf }: WarmerDeps,
  image: ImageReference,
  wish: Omit<WarmRequest, 'images'>,
  feed: WarmFeed,
  signal: AbortSignal,
): Promise<void> {
  const startedAtMs = clock.now()
  const name = formatImageReference(image)
  const repository = repositoryOf(image)
  const content = await findContent(repository, referenceOf(image), wish, { signal })
  const totalBytes = sum([...content.blobs.values()])
  await feed.add({ kind: 'resolved', image: name, totalBytes, ...summaryOf(content) }, { signal })
  let doneBytes = 0
  let fetchedBytes = 0
  let toldAtMs = startedAtMs
  const count = (bytes: number) => {
    doneBytes += bytes
    fetchedBytes += bytes
    const nowMs = clock.now()
    // Also where the clock was set back.
    if (Math.abs(nowMs - toldAtMs) < progressIntervalMs) return
    toldAtMs = nowMs
    feed.setBytes({ kind: 'bytes', image: name, doneBytes, totalBytes })
  }
  await inParallel(blobsAtOnce, [...content.blobs], async ([digest, sizeBytes]) => {
    const outcome = await bring(repository, digest, count, signal)
    if (outcome === 'present') doneBytes += sizeBytes
    await feed.add({ kind: 'blob', image: name, digest, sizeBytes, outcome }, { signal })
  })
  const { digest } = content.root.descriptor
  const presentBytes = doneBytes - fetchedBytes
  const elapsedMs = clock.now() - startedAtMs
  await feed.add({ kind: 'done', image: name, digest, fetchedBytes, presentBytes, elapsedMs }, { signal })
}

function summaryOf({ blobs, manifests, missing, root }: ImageContent) {
  const { descriptor, stale } = root
  return {
    digest: descriptor.digest,
    missing,
    manifests,
    blobs: blobs.size,
    ...(stale !== undefined && { stale }),
  }
}

/** What is being fetched is read to its end, since only there it has been verified; what is stored, not at all. */
async function bring(
  repository: Repository,
  digest: Digest,
  count: (bytes: number) => void,
  signal: AbortSignal,
): Promise<'fetched' | 'present'> {
  const body = await repository.blobs.open(digest, { signal })
  if (body.kind === 'redirect' || body.origin === 'store') return 'present'
  // Leaving the loop, in whatever way, destroys the stream.
  for await (const chunk of await body.read(undefined, { signal })) count((chunk as Buffer).length)
  return 'fetched'
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
