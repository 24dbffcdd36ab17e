// Blobs of a mirrored repository: from the store where this repository holds them, else by a fill.
//
// A blob that the store has, but not for this repository, is unknown here until the upstream confirms it: otherwise
// whoever knows a digest could read another repository's private content.
//
// A blob that there is no room for is never refused: it goes through, from a fill that keeps nothing. What a push needs
// is kept whatever the room, and is not the mirror's to remove.
import { abortable } from '../keyed-lock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { algorithmOf, Hasher, type Digest } from '../oci/digest.ts'
import { BlobUnknownError } from '../oci/errors.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { BlobBody, BlobService } from '../registry/registry.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { Fill } from './fill.ts'
import type { JoinRequest } from './fills.ts'
import type { PullThroughContext } from './pull-through.ts'

export interface PullThroughBlobs extends BlobService {
  /**
   * For a push: fetches the blob if it is not here, and links it to the repository under the name asked for, to stay.
   * BlobUnknownError, UpstreamError.
   */
  bring(digest: Digest, options?: CallOptions): Promise<void>
}

export function pullThroughBlobs(context: PullThroughContext): PullThroughBlobs {
  const { route, hosted, mirrored, fills, keeping, stores, logger, observe } = context
  const { upstream } = route
  const link = (digest: Digest) => stores.links.link(mirrored.name, 'layer', digest)

  async function here<T>(call: (blobs: BlobService) => Promise<T>): Promise<T | undefined> {
    for (const { blobs } of mirrored === hosted ? [hosted] : [hosted, mirrored]) {
      try {
        return await call(blobs)
      } catch (err) {
        if (!(err instanceof BlobUnknownError)) throw err
      }
    }
    return undefined
  }

  /**
   * Makes sure that this repository has the blob at its upstream. What a client has named could be anybody's, and say yes
   * to everything: it has to show the bytes.
   */
  async function confirm(digest: Digest, options?: CallOptions): Promise<void> {
    if (route.isNamedByClient !== true) return void (await upstream.statBlob(route.name, digest, options))
    const hasher = new Hasher(algorithmOf(digest))
    const body = await upstream.openBlob(route.name, digest, options)
    try {
      for await (const batch of body) hasher.update(batch)
    } finally {
      await body.dispose()
    }
    if (hasher.digest() !== digest) throw new BlobUnknownError(digest)
  }

  /** Joins or starts the fill; undefined if the blob is in the store meanwhile and linked to this repository. */
  async function join(digest: Digest, options?: FetchOptions): Promise<Fill | undefined> {
    for (;;) {
      const isStored =
        fills.find(digest) === undefined && (await stores.blobs.find(digest, options)) !== undefined
      // Looked for again, as another repository may have begun a fill while we asked the store.
      const running = fills.find(digest)
      const mayBeForeign = running === undefined ? isStored : !running.isClaimedBy(mirrored.name)
      if (mayBeForeign) {
        await confirm(digest, options)
        if ((await stores.blobs.find(digest, options)) !== undefined) {
          await link(digest)
          return undefined
        }
      }
      const joined = fills.find(digest)
      try {
        const fill = await fills.join(digest, request(digest, options?.pushed), options)
        // It came into the store between our look and the fill's: look again, as for any blob that is there already.
        if (!fill.wasPresent) return fill
      } catch (err) {
        // What the upstream answered to another repository says nothing about this one.
        const isForeign = joined !== undefined && joined.from !== mirrored.name
        if (!(isForeign && err instanceof UpstreamError && err.isAnswer)) throw err
      }
    }
  }

  function request(digest: Digest, pushed?: boolean): JoinRequest {
    return {
      upstream: upstream.name,
      mayUseKept: route.isNamedByClient !== true,
      open: (start, signal) => upstream.openBlob(route.name, digest, { start, signal }),
      expectedSize: context.knownSizes.of(mirrored.name, digest),
      askSize: async signal => (await upstream.statBlob(route.name, digest, { signal })).size,
      distrust: () => upstream.distrust?.(digest),
      claim: { name: mirrored.name, link: () => link(digest), pushed },
    }
  }

  async function fetched(digest: Digest, options?: FetchOptions): Promise<Fill | undefined> {
    try {
      return await join(digest, options)
    } catch (err) {
      throw unknownIfAnswered(digest, err)
    }
  }

  /** Reads from a fill. If it was over, and nothing of it kept, before `read` came to it, from one that is fetched anew. */
  async function readingFrom<T>(
    first: Fill,
    read: (fill: Fill) => Promise<T | undefined>,
    readStored: (blobs: BlobStore) => Promise<T>,
    options?: CallOptions,
  ): Promise<T> {
    const { digest } = first
    let fill: Fill | undefined = first
    for (let attempt = 0; attempt < maxFetches; attempt++) {
      if (fill === undefined) return await readStored(stores.blobs)
      const content = await read(fill)
      if (content !== undefined) return content
      fill = await fetched(digest, options)
    }
    throw new UpstreamError(
      'unavailable',
      upstream.name,
      `Cannot read blob "${digest}": there is no room for it`,
    )
  }

  function bodyOf(fill: Fill): BlobBody {
    const { digest, size } = fill
    const openStored = stores.blobs.openReader
    return {
      kind: 'bytes',
      digest,
      size,
      origin: 'fill',
      read: (range, opts) =>
        readingFrom(
          fill,
          one => one.read(range, opts),
          blobs => blobs.read(digest, range, opts),
          opts,
        ),
      openReader:
        openStored && size !== undefined
          ? opts =>
              readingFrom(
                fill,
                one => one.openReader(opts),
                () => openStored(digest, opts),
                opts,
              )
          : undefined,
    }
  }

  return {
    async stat(digest, options) {
      const found = await here(blobs => blobs.stat(digest, options))
      observe({ kind: 'lookup', type: 'blob', outcome: found === undefined ? 'miss' : 'hit' })
      if (found !== undefined) return found
      const running = fills.find(digest)
      if (running?.isClaimedBy(mirrored.name) && running.size !== undefined) {
        return { mediaType: mediaTypes.octetStream, digest, size: running.size }
      }
      try {
        return await upstream.statBlob(route.name, digest, options)
      } catch (err) {
        // A pusher asks for every blob whether it may skip it: an upstream in trouble must not stop a push.
        if (!(err instanceof UpstreamError)) throw err
        if (!err.isAnswer) logger.warn({ err, repository: mirrored.name }, 'cannot ask upstream for a blob')
        throw new BlobUnknownError(digest, { cause: err })
      }
    },
    async open(digest, options): Promise<BlobBody> {
      const found = await here(blobs => blobs.open(digest, options))
      observe({ kind: 'lookup', type: 'blob', outcome: found === undefined ? 'miss' : 'hit' })
      const fill = found === undefined ? await fetched(digest, options) : undefined
      if (fill !== undefined) return bodyOf(fill)
      keeping.used(digest)
      return found ?? mirrored.blobs.open(digest, options)
    },
    async bring(digest, { signal } = {}) {
      do {
        if ((await here(blobs => blobs.stat(digest, { signal }))) === undefined) {
          const fill = await fetched(digest, { signal, pushed: true })
          const outcome = fill && (await abortable(fill.settled, signal))
          if (outcome?.kind === 'failed') throw unknownIfAnswered(digest, outcome.error)
        }
        await stores.blobs.claim(digest, { signal })
        // It may have been removed before it was claimed, or passed on by a fill that we joined at its very end.
      } while ((await stores.blobs.find(digest, { signal })) === undefined)
      await stores.links.link(hosted.name, 'layer', digest, { signal })
    },
    ...(hosted.blobs.remove && { remove: hosted.blobs.remove }),
  }
}

interface FetchOptions extends CallOptions {
  /** A push needs it. */
  readonly pushed?: boolean | undefined
}

/** How often a blob is fetched for one reader. A second time is rare already: who opens a blob begins to read it at once. */
const maxFetches = 3

/** What the upstream answered is our answer: no such blob. Trouble stays trouble. */
function unknownIfAnswered(digest: Digest, err: unknown): unknown {
  return err instanceof UpstreamError && err.isAnswer ? new BlobUnknownError(digest, { cause: err }) : err
}
