// Sizes of blobs that manifests told us, for upstreams that send a blob without saying how long it is.
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { parseManifest, type Manifest } from '../oci/manifest.ts'

export interface KnownSizes {
  /** Bytes. */
  of(digest: Digest): number | undefined
  learnFrom(manifest: Manifest): void
}

export function createKnownSizes(maxEntries = 20_000): KnownSizes {
  const sizes = new LRUCache<Digest, { readonly bytes: number }>({ max: maxEntries })
  // What was learned from which manifest: known manifests come by with every pull, and need no parsing each time.
  const learned = new LRUCache<Digest, readonly Digest[]>({ max: 2000 })
  return {
    of: digest => sizes.get(digest)?.bytes,
    learnFrom(manifest) {
      if (learned.get(manifest.descriptor.digest)?.every(digest => sizes.has(digest))) return
      const { blobs } = parseManifest(manifest.bytes)
      learned.set(
        manifest.descriptor.digest,
        blobs.map(({ digest }) => digest),
      )
      for (const { digest, size } of blobs) sizes.set(digest, { bytes: size })
    },
  }
}
