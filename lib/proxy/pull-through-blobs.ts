// Blobs of a mirrored repository: from the store where this repository holds them, else by a fill.
//
// A blob that the store has, but not for this repository, is unknown here until the upstream confirms it: otherwise
// whoever knows a digest could read another repository's private content.
import { abortable } from '../keyed-lock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { BlobUnknownError } from '../oci/errors.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { BlobBody, BlobService } from '../registry/registry.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { Fill } from './fill.ts'
import type { JoinRequest } from './fills.ts'
import type { PullThroughContext } from './pull-through.ts'

export interface PullThroughBlobs extends BlobService {
  /** Fetches the blob and links it to the repository under the name asked for. BlobUnknownError, UpstreamError. */
  bring(digest: Digest, options?: CallOptions): Promise<void>
}

export function pullThroughBlobs(context: PullThroughContext): PullThroughBlobs {
  const { route, hosted, mirrored, fills, stores, logger, observe } = context
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

  /** Asks the upstream whether this repository has the blob. */
  const confirm = (digest: Digest, options?: CallOptions) => upstream.statBlob(route.name, digest, options)

  /** Joins or starts the fill; undefined if the blob is in the store meanwhile and linked to this repository. */
  async function join(digest: Digest, options?: CallOptions): Promise<Fill | undefined> {
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
        const fill = await fills.join(digest, request(digest), options)
        // It came into the store between our look and the fill's: look again, as for any blob that is there already.
        if (!fill.wasPresent) return fill
      } catch (err) {
        // What the upstream answered to another repository says nothing about this one.
        const isForeign = joined !== undefined && joined.from !== mirrored.name
        if (!(isForeign && err instanceof UpstreamError && err.isAnswer)) throw err
      }
    }
  }

  function request(digest: Digest): JoinRequest {
    return {
      open: (start, signal) => upstream.openBlob(route.name, digest, { start, signal }),
      expectedSize: context.knownSizes.of(mirrored.name, digest),
      askSize: async signal => (await upstream.statBlob(route.name, digest, { signal })).size,
      claim: { name: mirrored.name, link: () => link(digest) },
    }
  }

  async function fetched(digest: Digest, options?: CallOptions): Promise<Fill | undefined> {
    try {
      return await join(digest, options)
    } catch (err) {
      throw unknownIfAnswered(digest, err)
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
        return await confirm(digest, options)
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
      if (found !== undefined) return found
      const fill = await fetched(digest, options)
      if (fill === undefined) return mirrored.blobs.open(digest, options)
      return {
        kind: 'bytes',
        digest,
        size: fill.size,
        origin: 'fill',
        read: (range, opts) => fill.read(range, opts),
        openReader:
          stores.blobs.openReader && fill.size !== undefined ? opts => fill.openReader(opts) : undefined,
      }
    },
    async bring(digest, { signal } = {}) {
      if ((await here(blobs => blobs.stat(digest, { signal }))) === undefined) {
        const fill = await fetched(digest, { signal })
        const outcome = fill && (await abortable(fill.settled, signal))
        if (outcome?.kind === 'failed') throw unknownIfAnswered(digest, outcome.error)
      }
      await stores.links.link(hosted.name, 'layer', digest, { signal })
    },
    ...(hosted.blobs.remove && { remove: hosted.blobs.remove }),
  }
}

/** What the upstream answered is our answer: no such blob. Trouble stays trouble. */
function unknownIfAnswered(digest: Digest, err: unknown): unknown {
  return err instanceof UpstreamError && err.isAnswer ? new BlobUnknownError(digest, { cause: err }) : err
}
