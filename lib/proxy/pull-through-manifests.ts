// Manifests of a mirrored repository.
//
// By digest: from the store, else from the upstream, once and for all (manifests-by-digest.ts). By tag: what was pushed
// under it wins; else what the upstream says (tag-meanings.ts), asked for as revalidation.ts decides. Its answer that
// there is no such tag is passed on or not, by policy, and the copy is kept.
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { ManifestUnknownError, ReferencesUnknownError } from '../oci/errors.ts'
import { parseManifest, type ManifestContent } from '../oci/manifest.ts'
import { formatReference, tagReference, type Reference, type Tag } from '../oci/reference.ts'
import type { ManifestService, ServedManifest } from '../registry/registry.ts'
import { UpstreamError } from '../upstream/errors.ts'
import { describeTag, type TagDescription } from './describe-tag.ts'
import { ttlOf } from './freshness.ts'
import { manifestsByDigest } from './manifests-by-digest.ts'
import type { PullThroughBlobs } from './pull-through-blobs.ts'
import type { PullThroughContext } from './pull-through.ts'
import type { Question } from './questions.ts'
import { revalidated, type Fetched } from './revalidation.ts'
import { preferred } from './tag-history.ts'
import { isCopy, isSettled, tagMeanings, type Copy, type Meaning } from './tag-meanings.ts'

export interface PullThroughManifests extends ManifestService {
  /** What is known of a tag, without asking the upstream. */
  describe(tag: Tag, options?: CallOptions): Promise<TagDescription>
  /** Asks the upstream, however fresh the tag is, unless it was pushed here. ManifestUnknownError, UpstreamError. */
  refresh(tag: Tag, options?: CallOptions): Promise<ServedManifest>
}

/** How long a tag that should move by now, and cannot, is left alone, milliseconds. */
const ripeningPauseMs = 5000

export function pullThroughManifests(
  context: PullThroughContext,
  blobs: PullThroughBlobs,
): PullThroughManifests {
  const { route, hosted, mirrored, stores, mirroredTags, questions, clock, keeping, observe } = context
  const { upstream, freshness } = route
  const manifests = manifestsByDigest(context)
  const tags = tagMeanings(context, manifests)
  const keyOf = (tag: Tag) => `tag ${mirrored.name}:${tag}`

  const questionOf = (tag: Tag, copy: Copy | undefined): Question<Fetched<Meaning>> => ({
    key: keyOf(tag),
    upstream,
    ask: () => tags.ask(tag, copy),
  })

  async function byTag(tag: Tag, options?: CallOptions): Promise<ServedManifest> {
    const here = await tags.look(tag, options)
    if (here !== undefined && !isCopy(here)) return here.manifest
    const subject = {
      question: questionOf(tag, here),
      freshness,
      ttlMs: ttlOf(freshness, tag),
      // A move that a crash has cut short: the upstream decides.
      known: here && { value: here, checkedAtMs: isSettled(here) ? here.record.checkedAtMs : NaN },
    }
    const { value, ...provenance } = await revalidated<Meaning>(subject, context, options)
    if (provenance.stale !== undefined) {
      const { descriptor } = value.manifest
      const served = { repository: mirrored.name, tag, descriptor }
      context.logStale({ what: `${mirrored.name}:${tag}`, stale: provenance.stale, served })
    }
    if (!isCopy(value)) return { ...value.manifest, ...provenance }
    if (freshness.cooldown !== undefined) context.heldBack.note(route, tag, value.record)
    // Who has just been told what the tag means has seen to that already.
    const isOld = provenance.cache === 'HIT' || provenance.cache === 'STALE'
    const served = isOld ? await ripened(tag, value, options) : value
    return isCopy(served) ? { ...served.manifest, ...provenance } : served.manifest
  }

  /** What the tag means if, by the passing of time alone, that is something else by now. */
  async function ripened(tag: Tag, copy: Copy, options?: CallOptions): Promise<Meaning> {
    const best = preferred(copy.record, tags.cooldownOf(tag), clock.now())
    if (best === copy.manifest.descriptor.digest) return copy
    if (await stores.manifests.get(mirrored.name, best, options)) return tags.ripen(tag, copy)
    const question: Question<Fetched<Meaning>> = {
      key: `${keyOf(tag)} ripening`,
      upstream,
      ask: async () => ({ value: await tags.ripen(tag, copy), cache: 'MISS' }),
    }
    const known = { value: copy, checkedAtMs: NaN }
    const subject = { question, freshness, ttlMs: ripeningPauseMs, known }
    return (await revalidated<Meaning>(subject, context, options)).value
  }

  /** Answers, counts what it was, and says that it was used. */
  async function serve(
    reference: Reference,
    options: CallOptions | undefined,
    isUse: (served: ServedManifest) => boolean,
  ): Promise<ServedManifest> {
    let served: ServedManifest
    try {
      served =
        reference.kind === 'digest'
          ? await manifests.get(reference.digest, options)
          : await byTag(reference.tag, options)
    } catch (err) {
      if (!(err instanceof UpstreamError)) throw err
      observe({ kind: 'lookup', type: 'manifest', outcome: 'miss' })
      throw unknownIfAnswered(reference, err)
    }
    if (served.cache !== undefined) {
      observe({ kind: 'lookup', type: 'manifest', outcome: outcomes[served.cache] })
      if (isUse(served)) keeping.used(served.descriptor.digest)
    }
    return served
  }

  /** Every tag that is set becomes ours. */
  const put: ManifestService['put'] = async (bytes, contentType, reference, options = {}) => {
    const pushed = [...(reference.kind === 'tag' ? [reference.tag] : []), ...(options.tags ?? [])]
    return context.tagLock.runAll(
      pushed.map(tag => `${hosted.name}:${tag}`),
      async () => {
        const descriptor = await hosted.manifests.put(bytes, contentType, reference, options)
        for (const tag of pushed) {
          await mirroredTags.forget(hosted.name, tag)
          questions.forgetFailure(`tag ${hosted.name}:${tag}`)
        }
        questions.forgetFailure(`manifest ${hosted.name}@${descriptor.digest}`)
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
    const { bytes } = await manifests.get(digest, options)
    if (mirrored !== hosted) await stores.manifests.store(hosted.name, bytes, digest, options)
  }

  return {
    get: (reference, options) => serve(reference, options, () => true),
    async stat(reference, options) {
      // Who asked whether it is there has not used what had to be fetched for the answer.
      const served = await serve(reference, options, ({ cache }) => cache !== 'MISS')
      const { descriptor, bytes: _, ...provenance } = served
      return { ...descriptor, ...provenance }
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
    describe: (tag, options) => describeTag(context, { key: keyOf(tag), meanings: tags }, tag, options),
    async refresh(tag, options) {
      const here = await tags.look(tag, options)
      if (here !== undefined && !isCopy(here)) return here.manifest
      try {
        const { value, cache } = await questions.ask(questionOf(tag, here), options)
        return cache === undefined ? value.manifest : { ...value.manifest, cache, ageMs: 0 }
      } catch (err) {
        throw unknownIfAnswered(tagReference(tag), err)
      }
    },
  }

  function unknownIfAnswered(reference: Reference, err: unknown): unknown {
    const isAnswer = err instanceof UpstreamError && err.isAnswer
    return isAnswer ? new ManifestUnknownError(hosted.name, formatReference(reference), { cause: err }) : err
  }
}

const outcomes = { HIT: 'hit', MISS: 'miss', STALE: 'stale', REVALIDATED: 'revalidated' } as const
