// Sizes of blobs that manifests told us, for upstreams that send a blob without saying how long it is. What a manifest
// says counts for its own repository only, so that a lying one cannot spoil another's blobs.
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { parseManifest, type Manifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'

export interface KnownSizes {
  /** Bytes. */
  of(name: RepositoryName, digest: Digest): number | undefined
  learnFrom(name: RepositoryName, manifest: Manifest): void
}

export function createKnownSizes(maxEntries = 20_000): KnownSizes {
  const sizes = new LRUCache<string, { readonly bytes: number }>({ max: maxEntries })
  // What was learned from which manifest: known manifests come by with every pull, and need no parsing each time.
  const learned = new LRUCache<string, readonly string[]>({ max: 2000 })
  const key = (name: RepositoryName, digest: Digest) => `${name}@${digest}`
  return {
    of: (name, digest) => sizes.get(key(name, digest))?.bytes,
    learnFrom(name, manifest) {
      const source = key(name, manifest.descriptor.digest)
      if (learned.get(source)?.every(blob => sizes.has(blob))) return
      const { blobs } = parseManifest(manifest.bytes)
      for (const { digest, size } of blobs) sizes.set(key(name, digest), { bytes: size })
      learned.set(
        source,
        blobs.map(({ digest }) => key(name, digest)),
      )
    },
  }
}
