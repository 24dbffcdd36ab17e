// Mirrored content, put into the stores of a test as a mirror does it, and an evictor over them.
import type { Test } from 'tap'
import { Evictor, type EvictionEvent, type EvictorDeps } from '../../lib/eviction/evictor.ts'
import { Pins } from '../../lib/eviction/pins.ts'
import { Recency } from '../../lib/eviction/recency.ts'
import type { Clock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { digestOf, hexOf, type Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseTag } from '../../lib/oci/reference.ts'
import type { RepositoryName } from '../../lib/oci/repository-name.ts'
import type { Stores } from '../../lib/registry/local.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { parseStoragePath } from '../../lib/storage/driver/path.ts'
import { createMirroredTags, type MirroredTags } from '../../lib/storage/mirrored-tags.ts'
import { createStores } from './stores.ts'

export const silent = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })

/** Fetches a blob for a repository. */
export async function mirrorBlob(
  { driver, blobs, links }: Stores,
  repository: RepositoryName,
  content: string | Buffer,
): Promise<Digest> {
  const bytes = Buffer.from(content)
  const digest = digestOf(bytes)
  const staged = parseStoragePath(`/docker/registry/v2/_fills/${hexOf(digest)}/data`)
  await driver.writeAll(staged, bytes)
  await blobs.adopt(staged, digest, bytes.length, { mirrored: repository })
  await driver.remove(staged)
  await links.link(repository, 'layer', digest)
  return digest
}

/** A manifest over these blobs or, as an index, manifests. Sizes are not looked at. */
export function manifestOf(refs: readonly Digest[], kind: 'image' | 'index' = 'image'): Buffer {
  const entries = refs.map(digest => ({ mediaType: mediaTypes.octetStream, digest, size: 1 }))
  return Buffer.from(
    JSON.stringify(
      kind === 'image'
        ? { schemaVersion: 2, mediaType: mediaTypes.ociManifest, layers: entries }
        : { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries },
    ),
  )
}

export async function mirrorManifest(
  { manifests }: Stores,
  repository: RepositoryName,
  bytes: Buffer,
): Promise<Digest> {
  const digest = digestOf(bytes)
  await manifests.store(repository, bytes, digest, { mirrored: true })
  return digest
}

export interface MirrorWorld {
  readonly stores: Stores
  readonly mirroredTags: MirroredTags
  readonly recency: Recency
  readonly pins: Pins
  readonly evictor: Evictor
  readonly events: readonly EvictionEvent[]
  /** Points a tag at mirrored content, as the upstream said. */
  tag(repository: RepositoryName, tag: string, digest: Digest): Promise<void>
  /** A manifest with layers of these contents, under a tag. */
  image(repository: RepositoryName, tag: string, layers: readonly (string | Buffer)[]): Promise<Image>
}

export interface Image {
  readonly manifest: Digest
  readonly layers: readonly Digest[]
  /** Bytes of all of it. */
  readonly size: number
}

export interface MirrorWorldOptions extends Partial<Pick<EvictorDeps, 'limits' | 'maxIdleMs' | 'isFilling'>> {
  readonly clock: Clock
  readonly pinned?: readonly string[]
}

/** Stores and all that looks after their disk, known but not started. */
export async function openMirrorWorld(
  t: Test,
  driver: StorageDriver,
  { clock, pinned = [], isFilling = () => false, ...options }: MirrorWorldOptions,
): Promise<MirrorWorld> {
  const stores = createStores(driver, { clock })
  await stores.mirroredContent.loaded()
  const mirroredTags = createMirroredTags(driver)
  const recency = new Recency({ driver, clock, logger: silent })
  const pins = new Pins({ driver, configured: pinned })
  const events: EvictionEvent[] = []
  const observe = (event: EvictionEvent) => void events.push(event)
  const shared = { stores, mirroredTags, recency, pins, clock, logger: silent }
  const evictor = new Evictor({ ...shared, ...options, isFilling, observe })
  t.teardown(() => evictor.close())

  async function tag(repository: RepositoryName, text: string, digest: Digest): Promise<void> {
    const name = parseTag(text)
    await mirroredTags.set(repository, name, { digest, upstream: 'test', checkedAtMs: clock.now() })
    await stores.tags.set(repository, name, digest)
  }

  async function image(
    repository: RepositoryName,
    text: string,
    contents: readonly (string | Buffer)[],
  ): Promise<Image> {
    const layers: Digest[] = []
    for (const content of contents) layers.push(await mirrorBlob(stores, repository, content))
    const bytes = manifestOf(layers)
    const manifest = await mirrorManifest(stores, repository, bytes)
    await tag(repository, text, manifest)
    const size = contents.reduce((sum, content) => sum + Buffer.byteLength(content), bytes.length)
    return { manifest, layers, size }
  }

  return { stores, mirroredTags, recency, pins, evictor, events, tag, image }
}
