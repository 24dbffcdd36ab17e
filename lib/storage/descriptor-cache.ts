// Remembers what a store was found to hold, so that a pull of known content asks the driver for the content only.
// Only presence is remembered, never absence, and whoever removes content forgets it here first. Another process that
// removes content behind our back is noticed when the content is opened, and forgotten then.
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'

/** Told of every question, and whether it was answered. */
export type CacheObserver = (hit: boolean) => void

export interface DescriptorCache {
  /**
   * Changes with every forget. Whoever is about to look at the store, or to write, takes it before, and hands it in
   * with what came of that as `since`: nothing is remembered if something was forgotten meanwhile.
   */
  readonly epoch: number
  /** The size of a stored blob in bytes. */
  size(digest: Digest): number | undefined
  rememberSize(digest: Digest, sizeBytes: number, since: number): void
  forgetSize(digest: Digest): void
  /** What a link of this repository was found to point to. `kind` keeps layers and manifests apart. */
  link(name: RepositoryName, kind: LinkKind, digest: Digest): Digest | undefined
  rememberLink(name: RepositoryName, kind: LinkKind, digest: Digest, target: Digest, since: number): void
  forgetLink(name: RepositoryName, kind: LinkKind, digest: Digest): void
}

export type LinkKind = 'layer' | 'manifest'

export const noDescriptorCache: DescriptorCache = {
  epoch: 0,
  size: () => undefined,
  rememberSize() {},
  forgetSize() {},
  link: () => undefined,
  rememberLink() {},
  forgetLink() {},
}

/** At most `maxEntries` sizes and as many links, the least recently used go first; 0: without limit. */
export function createDescriptorCache(
  maxEntries: number,
  observe: CacheObserver = () => {},
): DescriptorCache {
  const sizes =
    maxEntries === 0 ? new Map<Digest, number>() : new LRUCache<Digest, number>({ max: maxEntries })
  const links =
    maxEntries === 0 ? new Map<string, Digest>() : new LRUCache<string, Digest>({ max: maxEntries })
  const key = (name: RepositoryName, kind: LinkKind, digest: Digest) => `${kind} ${name}@${digest}`
  let epoch = 0
  return {
    get epoch() {
      return epoch
    },
    size(digest) {
      const sizeBytes = sizes.get(digest)
      observe(sizeBytes !== undefined)
      return sizeBytes
    },
    rememberSize(digest, sizeBytes, since) {
      if (since === epoch) sizes.set(digest, sizeBytes)
    },
    forgetSize(digest) {
      epoch++
      sizes.delete(digest)
    },
    link: (name, kind, digest) => links.get(key(name, kind, digest)),
    rememberLink(name, kind, digest, target, since) {
      if (since === epoch) links.set(key(name, kind, digest), target)
    },
    forgetLink(name, kind, digest) {
      epoch++
      links.delete(key(name, kind, digest))
    },
  }
}
