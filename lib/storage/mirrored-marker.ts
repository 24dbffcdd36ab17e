// The marker of mirrored content: a small file that says "this came from an upstream, and nobody pushed it". What has
// none is never evicted, so that a marker must be durable before its content can be seen, and must be gone for good
// before content counts as pushed. Removing a file is durable nowhere, replacing one is: a marker is replaced by one that
// says "pushed" before it is removed, and that one may come back after a power cut without harm.
import * as z from 'zod'
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { StorageDriver } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { baseName, layout } from './layout.ts'

export type MirroredKind = 'blob' | 'manifest'

/** What a marker says. */
export interface Marker {
  readonly kind: MirroredKind
  /** Bytes of the content. */
  readonly size: number
  /** Those that link it, by the names that content is stored under. */
  readonly repositories: readonly RepositoryName[]
  /** What a manifest refers to: children, config, layers. */
  readonly refs: readonly Digest[]
}

const schema = z.object({
  kind: z.enum(['blob', 'manifest']),
  size: z.int().nonnegative(),
  repositories: z.array(z.string().refine(isRepositoryName)),
  refs: z.array(z.string().refine(isDigest)).default([]),
})

const pushed = Buffer.from('{"kind":"pushed"}')

/** Undefined where there is none, also where there is one that says "pushed" or is broken: then nothing is evicted. */
export async function readMarker(
  driver: StorageDriver,
  digest: Digest,
  options?: CallOptions,
): Promise<Marker | undefined> {
  const bytes = await unlessAbsent(() => driver.readAll(layout.mirroredMarker(digest), options))
  return bytes && schema.safeParse(parseJson(bytes)).data
}

/** Durable when it resolves. */
export async function writeMarker(
  driver: StorageDriver,
  digest: Digest,
  { kind, size, repositories, refs }: Marker,
  options?: CallOptions,
): Promise<void> {
  const text = JSON.stringify({ kind, size, repositories, ...(kind === 'manifest' && { refs }) })
  await driver.writeAll(layout.mirroredMarker(digest), Buffer.from(text), options)
}

/** Durable when it resolves. Storage is asked whether there is one: another process may have written it. */
export async function eraseMarker(
  driver: StorageDriver,
  digest: Digest,
  options?: CallOptions,
): Promise<void> {
  const path = layout.mirroredMarker(digest)
  if ((await unlessAbsent(() => driver.stat(path, options))) === undefined) return
  await driver.writeAll(path, pushed, options)
  // It says the same if it stays; it is removed when the markers are next read.
  await driver.remove(path, options).catch(() => {})
}

/** The digests that have a marker of whatever kind. */
export async function* walkMarkers(
  driver: StorageDriver,
  options?: CallOptions,
): AsyncGenerator<{ readonly digest: Digest; readonly modifiedAtMs: number }, void, undefined> {
  for await (const { path, modifiedAtMs } of driver.walk(layout.mirroredMarkers, options)) {
    const [algorithm] = path.slice(layout.mirroredMarkers.length + 1).split('/')
    const digest = `${algorithm}:${baseName(path)}`
    if (isDigest(digest)) yield { digest, modifiedAtMs }
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
