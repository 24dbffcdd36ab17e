// Manifests of a mirrored repository.
//
// By digest: from the store, else from the upstream, once and for all. By tag: what was pushed under it wins; else the
// mirrored tag while it is fresh (freshness.ts); else the upstream is asked, once for all who wait, and its trouble is
// covered by what is here already. Its answer that there is no such tag is passed on, and the copy is kept.
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { ManifestUnknownError, ReferencesUnknownError } from '../oci/errors.ts'
import { parseManifest, type Manifest, type ManifestContent } from '../oci/manifest.ts'
import { digestReference, formatReference, tagReference, type Reference, type Tag } from '../oci/reference.ts'
import type { ManifestService, ServedManifest } from '../registry/registry.ts'
import { isMirrored, type MirroredTag } from '../storage/mirrored-tags.ts'
import { UpstreamError } from '../upstream/errors.ts'
import { judge } from './freshness.ts'
import type { PullThroughBlobs } from './pull-through-blobs.ts'
import type { PullThroughContext } from './pull-through.ts'

/** A mirrored tag with its manifest at hand. */
interface Copy {
  readonly record: MirroredTag
  readonly manifest: Manifest
}

/** What a tag means here; both are missing where it means nothing. */
interface Found {
  readonly pushed?: Manifest
  readonly copy?: Copy
}

export function pullThroughManifests(context: PullThroughContext, blobs: PullThroughBlobs): ManifestService {
  const { route, hosted, mirrored, stores, mirroredTags, clock, logger, tagTtlMs, observe } = context
  const { upstream } = route
  const tagKey = (tag: Tag) => `${mirrored.name}:${tag}`

  async function here(
    service: ManifestService,
    reference: Reference,
    options?: CallOptions,
  ): Promise<Manifest | undefined> {
    try {
      return await service.get(reference, options)
    } catch (err) {
      if (err instanceof ManifestUnknownError) return undefined
      throw err
    }
  }

  async function keep(manifest: Manifest): Promise<void> {
    await stores.manifests.store(mirrored.name, manifest.bytes, manifest.descriptor.digest)
    context.knownSizes.learnFrom(mirrored.name, manifest)
  }

  async function byDigest(digest: Digest, options?: CallOptions): Promise<ServedManifest> {
    const reference = digestReference(digest)
    const found =
      (await here(hosted.manifests, reference, options)) ??
      (mirrored === hosted ? undefined : await here(mirrored.manifests, reference, options))
    observe({ kind: 'lookup', type: 'manifest', outcome: found === undefined ? 'miss' : 'hit' })
    if (found !== undefined) {
      context.knownSizes.learnFrom(mirrored.name, found)
      return found
    }
    const fetch = async () => {
      const manifest = await upstream.manifest(route.name, reference)
      if (manifest === 'unchanged') throw new TypeError('Cannot be unchanged: nothing was known')
      await keep(manifest)
      return manifest
    }
    try {
      return await context.fetches.run(`${mirrored.name}@${digest}`, fetch, options)
    } catch (err) {
      throw unknownIfAnswered(reference, err)
    }
  }

  async function look(tag: Tag, options?: CallOptions): Promise<Found> {
    if (mirrored !== hosted) {
      const pushed = await here(hosted.manifests, tagReference(tag), options)
      if (pushed !== undefined) return { pushed }
    }
    return lookAtMirrored(tag, await mirroredTags.get(mirrored.name, tag, options), options)
  }

  async function lookAtMirrored(
    tag: Tag,
    record: MirroredTag | undefined,
    options?: CallOptions,
  ): Promise<Found> {
    const manifest = await here(mirrored.manifests, tagReference(tag), options)
    if (manifest === undefined) return {}
    if (record === undefined || !isMirrored(record, manifest.descriptor.digest)) return { pushed: manifest }
    return { copy: { record, manifest } }
  }

  async function byTag(tag: Tag, options?: CallOptions): Promise<ServedManifest> {
    const { pushed, copy } = await look(tag, options)
    if (pushed !== undefined) return pushed
    // A record whose digest is not the link's is from a move that a crash cut short: the upstream decides.
    const isCurrent = copy?.record.digest === copy?.manifest.descriptor.digest
    const verdict = judge(isCurrent ? copy?.record : undefined, tagTtlMs, clock.now())
    const isHit = copy !== undefined && verdict === 'fresh'
    observe({ kind: 'lookup', type: 'manifest', outcome: isHit ? 'hit' : 'miss' })
    if (isHit) return copy.manifest
    try {
      return await context.fetches.run(tagKey(tag), () => revalidate(tag, copy), options)
    } catch (err) {
      if (!(err instanceof UpstreamError)) throw err
      if (copy === undefined || err.failure === 'unknown') throw unknownIfAnswered(tagReference(tag), err)
      logger.warn(
        { err, repository: mirrored.name, tag },
        'serving a stale tag: its upstream cannot be asked',
      )
      return { ...copy.manifest, stale: `upstream ${upstream.name} ${err.failure}` }
    }
  }

  async function revalidate(tag: Tag, copy: Copy | undefined): Promise<Manifest> {
    const known = copy?.manifest.descriptor.digest
    const answer = await upstream.manifest(
      route.name,
      tagReference(tag),
      known === undefined ? {} : { known },
    )
    const checkedAtMs = clock.now()
    const manifest = answer === 'unchanged' ? copy?.manifest : answer
    if (manifest === undefined) throw new TypeError('Cannot be unchanged: nothing was known')
    if (answer !== 'unchanged') await keep(answer)
    return context.tagLock.run(tagKey(tag), async () => {
      // Somebody may have pushed or deleted it while we asked, also through another process.
      const now = await lookAtMirrored(tag, await mirroredTags.stored(mirrored.name, tag))
      if (now.pushed !== undefined) return now.pushed
      if (now.copy === undefined && answer === 'unchanged') return manifest
      const { digest } = manifest.descriptor
      const previous = now.copy?.manifest.descriptor.digest
      const record = { digest, previous, upstream: upstream.name, checkedAtMs }
      if (previous === digest && now.copy?.record.digest === digest) {
        mirroredTags.renew(mirrored.name, tag, { ...now.copy.record, checkedAtMs })
      } else {
        await mirroredTags.set(mirrored.name, tag, record)
        await stores.tags.set(mirrored.name, tag, digest)
      }
      return manifest
    })
  }

  /** Every tag that is set becomes ours. */
  const put: ManifestService['put'] = async (bytes, contentType, reference, options = {}) => {
    const tags = [...(reference.kind === 'tag' ? [reference.tag] : []), ...(options.tags ?? [])]
    return context.tagLock.runAll(
      tags.map(tag => `${hosted.name}:${tag}`),
      async () => {
        const descriptor = await hosted.manifests.put(bytes, contentType, reference, options)
        for (const tag of tags) await mirroredTags.forget(hosted.name, tag)
        return descriptor
      },
      options,
    )
  }

  /** Brings what a manifest was refused for; throws `refusal` if that cannot be had. */
  async function bringAll(
    refusal: ReferencesUnknownError,
    content: ManifestContent,
    options?: CallOptions,
  ): Promise<void> {
    const children = new Set<Digest>(content.manifests.map(child => child.digest))
    for (const digest of refusal.digests.filter(isDigest)) {
      try {
        if (children.has(digest)) await bringManifest(digest, options)
        else await blobs.bring(digest, options)
      } catch {
        options?.signal?.throwIfAborted()
        throw refusal
      }
    }
  }

  async function bringManifest(digest: Digest, options?: CallOptions): Promise<void> {
    const { bytes } = await byDigest(digest, options)
    if (mirrored !== hosted) await stores.manifests.store(hosted.name, bytes, digest, options)
  }

  return {
    get: (reference, options) =>
      reference.kind === 'digest' ? byDigest(reference.digest, options) : byTag(reference.tag, options),
    async stat(reference, options) {
      const { descriptor, stale } =
        reference.kind === 'digest'
          ? await byDigest(reference.digest, options)
          : await byTag(reference.tag, options)
      return { ...descriptor, stale }
    },
    async put(bytes, contentType, reference, options) {
      try {
        return await put(bytes, contentType, reference, options)
      } catch (err) {
        // The pusher may have skipped what we said that the repository has: the upstream does. Get it.
        if (!(err instanceof ReferencesUnknownError)) throw err
        await bringAll(err, parseManifest(bytes, contentType), options)
        return put(bytes, contentType, reference, options)
      }
    },
    ...(hosted.manifests.remove && { remove: hosted.manifests.remove }),
  }

  function unknownIfAnswered(reference: Reference, err: unknown): unknown {
    const isAnswer = err instanceof UpstreamError && err.isAnswer
    return isAnswer ? new ManifestUnknownError(hosted.name, formatReference(reference), { cause: err }) : err
  }
}
