// Manifests of a mirrored repository by their digests: from the store, else from the upstream, once and for all.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { ManifestUnknownError } from '../oci/errors.ts'
import type { Manifest } from '../oci/manifest.ts'
import { digestReference, type Reference } from '../oci/reference.ts'
import type { ManifestService, ServedManifest } from '../registry/registry.ts'
import type { PullThroughContext } from './pull-through.ts'
import type { Question } from './questions.ts'
import { revalidated, type Fetched } from './revalidation.ts'

export interface ManifestsByDigest {
  /** From here or from there. UpstreamError, `unknown` and `denied` included. */
  get(digest: Digest, options?: CallOptions): Promise<ServedManifest>
  /** Stores what the upstream gave. */
  keep(manifest: Manifest): Promise<void>
}

/** How long the store of a manifest waits for room, milliseconds. */
const mostWaitMs = 2000

export function manifestsByDigest(context: PullThroughContext): ManifestsByDigest {
  const { route, hosted, mirrored, stores, keeping, knownSizes, questions } = context
  const keyOf = (digest: Digest) => `manifest ${mirrored.name}@${digest}`

  async function keep(manifest: Manifest): Promise<void> {
    const { bytes, descriptor } = manifest
    // Stored also where there is no room: what is served by a tag has to be here, and it is small.
    // So nobody waits long for it, as for the end of a long start, or behind large blobs.
    const signal = AbortSignal.timeout(mostWaitMs)
    try {
      await keeping.makeRoom(bytes.length, { digest: descriptor.digest, signal }).catch(() => false)
      await stores.manifests.store(mirrored.name, bytes, descriptor.digest, { mirrored: true })
    } finally {
      keeping.release(descriptor.digest)
    }
    questions.forgetFailure(keyOf(manifest.descriptor.digest))
    knownSizes.learnFrom(mirrored.name, manifest)
  }

  async function fetch(reference: Reference): Promise<Fetched<Manifest>> {
    const manifest = await route.upstream.manifest(route.name, reference)
    if (manifest === 'unchanged') throw new TypeError('Cannot be unchanged: nothing was known')
    await keep(manifest)
    return { value: manifest, cache: 'MISS' }
  }

  return {
    keep,
    async get(digest, options) {
      const reference = digestReference(digest)
      const pushed = await manifestHere(hosted.manifests, reference, options)
      const found =
        pushed ??
        (mirrored === hosted ? undefined : await manifestHere(mirrored.manifests, reference, options))
      if (found !== undefined) {
        knownSizes.learnFrom(mirrored.name, found)
        // Where both lie under one name, nothing tells pushed content from mirrored.
        return pushed !== undefined && mirrored !== hosted ? found : { ...found, cache: 'HIT' }
      }
      const question: Question<Fetched<Manifest>> = {
        key: keyOf(digest),
        upstream: route.upstream,
        ask: () => fetch(reference),
      }
      // A digest never changes: there is no time to live, and nothing to fall back on.
      const subject = { question, freshness: route.freshness, ttlMs: Infinity, known: undefined }
      const { value } = await revalidated(subject, context, options)
      return { ...value, cache: 'MISS' }
    },
  }
}

/** Undefined where that service has no such manifest. */
export async function manifestHere(
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
