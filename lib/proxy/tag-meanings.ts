// What the tags of a mirrored repository mean here, and how that changes.
//
// Under the repository's own name lies what was pushed to it; under the upstream's name what was mirrored, and what was
// pushed there. What the upstream says of a tag is written down first (mirrored-tags.ts), then the tag's link moves: to
// what it says or, under a cooldown, to what of that may be served already. Both happen under the tag's lock, which is
// never held while an upstream is asked.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Manifest } from '../oci/manifest.ts'
import { tagReference, type Tag } from '../oci/reference.ts'
import { isMirrored, servedDigest, type MirroredTag } from '../storage/mirrored-tags.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { Cooldown } from './freshness.ts'
import { manifestHere, type ManifestsByDigest } from './manifests-by-digest.ts'
import type { PullThroughContext } from './pull-through.ts'
import type { Fetched } from './revalidation.ts'
import { candidates, withConfirmation, withSaid, type Said } from './tag-history.ts'

/** What a tag means; without a record it was pushed here. */
export interface Meaning {
  readonly manifest: Manifest
  readonly record?: MirroredTag | undefined
}

/** A mirrored tag with the manifest that its link names. */
export interface Copy extends Meaning {
  readonly record: MirroredTag
}

export interface TagMeanings {
  /** What the tag means now; undefined: nothing. */
  look(tag: Tag, options?: CallOptions): Promise<Meaning | undefined>
  /** Asks the upstream, and lets the tag mean what it says. UpstreamError. */
  ask(tag: Tag, copy: Copy | undefined): Promise<Fetched<Meaning>>
  /** Lets the tag mean what may be served of it by now, without asking what it is. */
  ripen(tag: Tag, copy: Copy): Promise<Meaning>
  /** Undefined: the upstream's word counts at once. */
  cooldownOf(tag: Tag): Cooldown | undefined
}

export function isCopy(meaning: Meaning | undefined): meaning is Copy {
  return meaning?.record !== undefined
}

/** Whether the tag's link is what its record says; else a move was cut short by a crash. */
export function isSettled({ manifest, record }: Copy): boolean {
  return servedDigest(record) === manifest.descriptor.digest
}

export function tagMeanings(context: PullThroughContext, byDigest: ManifestsByDigest): TagMeanings {
  const { route, hosted, mirrored, stores, mirroredTags, clock } = context
  const { upstream, freshness } = route
  const { name } = mirrored

  function cooldownOf(tag: Tag): Cooldown | undefined {
    const { cooldown } = freshness
    return cooldown === undefined || cooldown.auditOnly || cooldown.exempts(tag) ? undefined : cooldown
  }

  async function look(tag: Tag, options?: CallOptions): Promise<Meaning | undefined> {
    if (mirrored !== hosted) {
      const manifest = await manifestHere(hosted.manifests, tagReference(tag), options)
      if (manifest !== undefined) return { manifest }
    }
    return lookAtMirrored(tag, await mirroredTags.get(name, tag, options), options)
  }

  async function lookAtMirrored(
    tag: Tag,
    record: MirroredTag | undefined,
    options?: CallOptions,
  ): Promise<Meaning | undefined> {
    const manifest = await manifestHere(mirrored.manifests, tagReference(tag), options)
    if (manifest === undefined) return undefined
    return record !== undefined && isMirrored(record, manifest.descriptor.digest)
      ? { manifest, record }
      : { manifest }
  }

  async function ask(tag: Tag, copy: Copy | undefined): Promise<Fetched<Meaning>> {
    const { descriptor } = copy?.manifest ?? {}
    // What is held back is known, too, although the link does not name it.
    const known = copy !== undefined && isSettled(copy) ? copy.record.digest : descriptor?.digest
    const options = known === undefined ? {} : { known }
    const answer = await upstream.manifest(route.name, tagReference(tag), options)
    const digest = answer === 'unchanged' ? known : answer.descriptor.digest
    if (digest === undefined) throw new TypeError('Cannot be unchanged: nothing was known')
    const brought = answer === 'unchanged' ? undefined : answer
    if (brought !== undefined) await byDigest.keep(brought)
    const said = { digest, atMs: clock.now() }
    const record = withSaid(await mirroredTags.get(name, tag), said, upstream.name)
    const manifest = await bestOf(tag, record, [brought, copy?.manifest])
    const value = await move(tag, manifest, { said, isNew: brought !== undefined, copy })
    if (value.record === undefined) return { value, cache: undefined }
    return { value, cache: brought === undefined ? 'REVALIDATED' : 'MISS' }
  }

  async function ripen(tag: Tag, copy: Copy): Promise<Meaning> {
    const manifest = await bestOf(tag, copy.record, [copy.manifest])
    return move(tag, manifest, { isNew: false, copy })
  }

  /** The best that may be served and can be had; UpstreamError where nothing can be. */
  async function bestOf(
    tag: Tag,
    record: Pick<MirroredTag, 'digest' | 'checkedAtMs' | 'history'>,
    atHand: readonly (Manifest | undefined)[],
  ): Promise<Manifest> {
    let failure: unknown
    for (const digest of candidates(record, cooldownOf(tag), clock.now())) {
      const found = atHand.find(one => one?.descriptor.digest === digest)
      if (found !== undefined) return found
      try {
        return await byDigest.get(digest)
      } catch (err) {
        if (!(err instanceof UpstreamError)) throw err
        failure ??= err
      }
    }
    const last = atHand.find(one => one !== undefined)
    if (last === undefined) throw failure
    return last
  }

  /** Writes down what the upstream said, and points the tag at `manifest`; what was pushed meanwhile stays. */
  async function move(
    tag: Tag,
    manifest: Manifest,
    { said, isNew, copy }: { readonly said?: Said; readonly isNew: boolean; readonly copy: Copy | undefined },
  ): Promise<Meaning> {
    return context.tagLock.run(`${name}:${tag}`, async () => {
      // Somebody may have pushed or deleted it while we asked, also through another process.
      const stored = await mirroredTags.stored(name, tag)
      const now = await lookAtMirrored(tag, stored)
      if (now !== undefined && !isCopy(now)) return now
      if (now === undefined && !isNew) return { manifest, record: copy?.record }
      const before = stored && withConfirmation(stored, copy?.record)
      const next = said === undefined ? before : withSaid(before, said, upstream.name)
      if (next === undefined) throw new TypeError('Cannot write down what a tag means: nothing was said')
      const link = now?.manifest.descriptor.digest
      const served = manifest.descriptor.digest
      const isHeldBack = served !== next.digest
      const record = { ...next, served: isHeldBack ? served : undefined, previous: link }
      if (link === served && stored?.digest === next.digest && servedDigest(stored) === served) {
        mirroredTags.renew(name, tag, { ...record, previous: stored.previous })
      } else {
        await mirroredTags.set(name, tag, record)
        await stores.tags.set(name, tag, served)
      }
      return { manifest, record }
    })
  }

  return { look, ask, ripen, cooldownOf }
}
