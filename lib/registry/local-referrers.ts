// Referrers of what this repository holds, or will. The index (storage/referrer-index.ts) and the tag that clients of
// registries without this API kept their list under say where to look; the manifests themselves decide.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isIndexMediaType } from '../oci/media-types.ts'
import { referrersTag } from '../oci/referrers-tag.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { layout } from '../storage/layout.ts'
import { CorruptLinkError, readLink } from '../storage/links.ts'
import type { Stores } from './local.ts'
import { ReferrerPage } from './referrer-page.ts'
import type { ReferrerService } from './registry.ts'

/** How many manifests are read at once. */
const concurrency = 8

export function localReferrers(stores: Stores, name: RepositoryName): ReferrerService {
  const { driver, manifests, referrers, tags } = stores

  /** What the tag of the fallback scheme lists; nothing where it is broken. */
  async function tagged(subject: Digest, options?: CallOptions): Promise<readonly Digest[]> {
    const digest = await unlessBroken(() => tags.resolve(name, referrersTag(subject), options))
    const index = digest && (await unlessBroken(() => manifests.get(name, digest, options)))
    if (index === undefined || !isIndexMediaType(index.descriptor.mediaType)) return []
    return parseManifest(index.bytes).manifests.map(entry => entry.digest)
  }

  /** The entry of a manifest that is here now and names this subject. */
  async function entryOf(
    digest: Digest,
    subject: Digest,
    options?: CallOptions,
  ): Promise<ManifestEntry | undefined> {
    return unlessBroken(async () => {
      // The link itself is read, not what is remembered of it: another process may have deleted the manifest.
      const target = await readLink(driver, layout.revisionLink(name, digest), options)
      const manifest = target === undefined ? undefined : await manifests.get(name, digest, options)
      if (manifest === undefined) return undefined
      const { mediaType, size } = manifest.descriptor
      const { annotations, artifactType, subject: named } = parseManifest(manifest.bytes)
      if (named?.digest !== subject) return undefined
      return {
        mediaType,
        digest,
        size,
        ...(artifactType !== undefined && { artifactType }),
        ...(annotations !== undefined && { annotations }),
      }
    })
  }

  return {
    async list(subject, { artifactType }, page, options) {
      const { after = '' } = page
      const candidates = [
        ...(await referrers.candidates(name, subject, options)),
        ...(await tagged(subject, options)),
      ]
      const sorted = [...new Set(candidates)].filter(digest => digest > after).toSorted()
      const listed = new ReferrerPage(page)
      for (let start = 0; start < sorted.length; start += concurrency) {
        const some = sorted.slice(start, start + concurrency)
        const entries = await inParallel(concurrency, some, digest => entryOf(digest, subject, options))
        for (const entry of entries) {
          if (entry === undefined || (artifactType !== undefined && entry.artifactType !== artifactType))
            continue
          if (!listed.take(entry)) return listed.end()
        }
      }
      return listed.end()
    },
  }
}

/** Undefined where what is stored is damaged: one manifest must not hide the others. */
async function unlessBroken<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read()
  } catch (err) {
    if (err instanceof CorruptLinkError || err instanceof RegistryError) return undefined
    throw err
  }
}
