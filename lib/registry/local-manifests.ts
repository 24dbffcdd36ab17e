// Manifests of a repository of this process's stores: what is accepted, and that a manifest and its tags change
// together.
import type { CallOptions } from '../oci/descriptor.ts'
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts'
import {
  DigestMismatchError,
  ManifestUnknownError,
  ReferencesUnknownError,
  RegistryError,
} from '../oci/errors.ts'
import { parseManifest, type Manifest, type ManifestContent } from '../oci/manifest.ts'
import { formatReference, type Reference, type Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from './local.ts'
import type { ManifestRules } from './manifest-rules.ts'
import type { ManifestService } from './registry.ts'
import type { TagGuard } from './tag-guard.ts'

export interface LocalManifestsDeps {
  readonly stores: Pick<Stores, 'manifests' | 'tags' | 'uses'>
  readonly rules: ManifestRules
  readonly guard: TagGuard
  readonly allowDelete: boolean
}

export function localManifests(
  { stores, rules, guard, allowDelete }: LocalManifestsDeps,
  name: RepositoryName,
): ManifestService {
  const { manifests, tags, uses } = stores

  /** Whoever is told that a manifest is here does not push it, and soon refers to it. */
  async function statByDigest(digest: Digest, opts?: CallOptions): Promise<Manifest | undefined> {
    const undo = uses.touch(digest)
    const found = await manifests.get(name, digest, opts)
    if (found === undefined) undo()
    return found
  }

  async function get(reference: Reference, opts?: CallOptions): Promise<Manifest> {
    const manifest =
      reference.kind === 'digest'
        ? await manifests.get(name, reference.digest, opts)
        : await getByTag(reference.tag, opts)
    if (manifest === undefined) throw new ManifestUnknownError(name, formatReference(reference))
    return manifest
  }

  /** A tag may move, and what it meant be deleted, between the two looks: a tag that is there always has a manifest. */
  async function getByTag(tag: Tag, opts?: CallOptions): Promise<Manifest | undefined> {
    for (let before: Digest | undefined; ;) {
      const digest = await tags.resolve(name, tag, opts)
      if (digest === undefined || digest === before) return undefined
      const manifest = await manifests.get(name, digest, opts)
      if (manifest !== undefined) return manifest
      before = digest
    }
  }

  /**
   * Stores it, and looks once more, in storage itself: a collection in another process removes links and then reads
   * manifests, so that either it finds this one, or we find that something has gone.
   */
  async function storeConfirmed(
    bytes: Buffer,
    digest: Digest,
    required: ManifestContent,
    opts?: CallOptions,
  ): Promise<void> {
    const wasHeld = await manifests.holds(name, digest, opts)
    await manifests.store(name, bytes, digest, opts)
    try {
      await manifests.checkReferences(name, required, { ...opts, isFresh: true })
    } catch (err) {
      if (!wasHeld && err instanceof ReferencesUnknownError) await manifests.remove(name, digest)
      throw err
    }
  }

  return {
    get,
    async stat(reference, opts) {
      if (reference.kind === 'tag') return (await get(reference, opts)).descriptor
      const found = await statByDigest(reference.digest, opts)
      if (found === undefined) throw new ManifestUnknownError(name, formatReference(reference))
      return found.descriptor
    },
    async put(bytes, contentType, reference, { tags: more = [], ...opts } = {}) {
      const digest = reference.kind === 'digest' ? verified(bytes, reference.digest) : digestOf(bytes)
      const content = parseAccepted(bytes, contentType)
      const required = rules.check(content)
      const wanted = [...(reference.kind === 'tag' ? [reference.tag] : []), ...more]
      const store = async () => {
        await storeConfirmed(bytes, digest, required, opts)
        for (const tag of new Set(wanted)) await tags.set(name, tag, digest, opts)
      }
      const change = () =>
        guard.change(name, wanted, digest, () => manifests.exclusively(name, digest, store, opts), opts)
      await uses.during(async () => {
        await manifests.checkReferences(name, required, opts)
        await manifests.claim(name, content, opts)
        // What was there before may have been evicted or collected; from now on it cannot be.
        await manifests.checkReferences(name, required, opts)
        await change()
      })
      const { mediaType, subject } = content
      const stored = { mediaType, digest, size: bytes.length }
      return subject === undefined ? stored : { ...stored, subject: subject.digest }
    },
    ...(allowDelete && {
      async remove(digest: Digest, opts?: CallOptions) {
        const work = async () => {
          if (!(await manifests.holds(name, digest, opts))) throw new ManifestUnknownError(name, digest)
          const pointing = await tags.pointingTo(name, digest, opts)
          guard.checkRemoval(name, pointing, digest)
          for (const tag of pointing) await tags.remove(name, tag, { ...opts, meaning: digest })
          await manifests.remove(name, digest, opts)
          return pointing
        }
        return manifests.exclusively(name, digest, work, opts)
      },
    }),
  }
}

/** No media type is stored, so that the one announced must be the one that the bytes will be read as later. */
function parseAccepted(bytes: Buffer, contentType: string): ManifestContent {
  const content = parseManifest(bytes, contentType)
  const { mediaType } = parseManifest(bytes)
  if (mediaType === content.mediaType) return content
  const detail = `mediaType is missing: it would be read as "${mediaType}", not "${content.mediaType}"`
  throw new RegistryError('MANIFEST_INVALID', `Cannot accept manifest: ${detail}`, { detail })
}

function verified(bytes: Buffer, expected: Digest): Digest {
  const found = digestOf(bytes, algorithmOf(expected))
  if (found !== expected) throw new DigestMismatchError(expected, found)
  return expected
}
