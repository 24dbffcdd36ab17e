// Marks everything that is linked in a directory as the mirror's own, so that it may be evicted: part of taking over what
// distribution has mirrored (adopt-mirrored-tags.ts), and true only there, where nothing was pushed
// before its mirror ended.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { maxManifestBytes, parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { listRepositories } from './catalog.ts'
import type { StorageDriver, StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'
import { writeMarker, type MirroredKind } from './mirrored-marker.ts'

/** Markers that are written at once. */
const concurrency = 16

interface Linked {
  readonly kind: MirroredKind
  readonly repositories: RepositoryName[]
}

/**
 * To be called before anything is served; may be repeated. Content that was linked somewhere after `untilMs` stays as it
 * is: it may have been pushed. Returns how much content was marked.
 */
export async function adoptMirroredContent(
  driver: StorageDriver,
  untilMs: number,
  options?: CallOptions,
): Promise<number> {
  const linked = new Map<Digest, Linked>()
  const later = new Set<Digest>()
  for (const name of await listRepositories(driver, options)) {
    // Manifests first: what is linked as a blob, too, is still a manifest.
    for (const [kind, folder] of [
      ['manifest', layout.revisions(name)],
      ['blob', layout.layers(name)],
    ] as const)
      for await (const { digest, modifiedAtMs } of linksBelow(driver, folder, options)) {
        if (modifiedAtMs > untilMs) later.add(digest)
        add(linked, digest, kind, name)
      }
  }
  // What was pushed needs its parts, and may have found them there. A set that grows is gone through to its end.
  for (const digest of later) {
    if (linked.get(digest)?.kind === 'manifest')
      for (const part of await referencesOf(driver, digest, options)) later.add(part)
  }
  for (const digest of later) linked.delete(digest)
  const marked = await inParallel(concurrency, [...linked], ([digest, link]) =>
    mark(driver, digest, link, options),
  )
  return marked.filter(Boolean).length
}

async function* linksBelow(
  driver: StorageDriver,
  folder: StoragePath,
  options?: CallOptions,
): AsyncGenerator<{ readonly digest: Digest; readonly modifiedAtMs: number }, void, undefined> {
  for await (const { path, modifiedAtMs } of driver.walk(folder, options)) {
    const [algorithm, hex, file, ...more] = path.slice(folder.length + 1).split('/')
    const digest = `${algorithm}:${hex}`
    if (file === 'link' && more.length === 0 && isDigest(digest)) yield { digest, modifiedAtMs }
  }
}

function add(
  linked: Map<Digest, Linked>,
  digest: Digest,
  kind: MirroredKind,
  repository: RepositoryName,
): void {
  const known = linked.get(digest)
  if (known === undefined) linked.set(digest, { kind, repositories: [repository] })
  else if (kind === 'manifest' && known.kind === 'blob')
    linked.set(digest, { kind, repositories: [...new Set([...known.repositories, repository])] })
  else if (!known.repositories.includes(repository)) known.repositories.push(repository)
}

/** Whether it is there, and was marked. */
async function mark(
  driver: StorageDriver,
  digest: Digest,
  { kind, repositories }: Linked,
  options?: CallOptions,
): Promise<boolean> {
  const file = await unlessAbsent(() => driver.stat(layout.blobContent(digest), options))
  if (file === undefined) return false
  const refs = kind === 'manifest' ? await referencesOf(driver, digest, options) : []
  await writeMarker(driver, digest, { kind, size: file.size, repositories, refs }, options)
  return true
}

async function referencesOf(
  driver: StorageDriver,
  digest: Digest,
  options?: CallOptions,
): Promise<readonly Digest[]> {
  const path = layout.blobContent(digest)
  const file = await unlessAbsent(() => driver.stat(path, options))
  if (file === undefined || file.size > maxManifestBytes) return []
  try {
    const { blobs, manifests } = parseManifest(await driver.readAll(path, options))
    return [...new Set([...blobs, ...manifests].map(entry => entry.digest))]
  } catch (err) {
    if (err instanceof RegistryError) return []
    throw err
  }
}
