// What a stored manifest needs, as far as its bytes say. What cannot be understood must not cost anybody content:
//
// - of a type that we do not know, every digest in its text counts;
// - what is no manifest that we can read at all is `opaque`: whatever its repository has may belong to it.
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { maxManifestBytes, parseManifest } from '../oci/manifest.ts'
import type { StorageDriver } from '../storage/driver/driver.ts'
import { unlessAbsent } from '../storage/driver/unless-absent.ts'
import { layout } from '../storage/layout.ts'

export type StoredManifest =
  | { readonly kind: 'missing' }
  | { readonly kind: 'opaque'; readonly reason: string }
  | {
      readonly kind: 'manifest'
      readonly blobs: readonly Digest[]
      /** Of an unknown type: all that may be one. */
      readonly manifests: readonly Digest[]
      readonly subject: Digest | undefined
    }

/** The manifest whose bytes are stored as `digest`. */
export async function readStoredManifest(
  driver: StorageDriver,
  digest: Digest,
  options?: CallOptions,
): Promise<StoredManifest> {
  const path = layout.blobContent(digest)
  const file = await unlessAbsent(() => driver.stat(path, options))
  if (file === undefined) return { kind: 'missing' }
  if (file.size > maxManifestBytes) return { kind: 'opaque', reason: `${file.size} bytes are too many` }
  const bytes = await unlessAbsent(() => driver.readAll(path, options))
  return bytes === undefined ? { kind: 'missing' } : contentOf(bytes)
}

function contentOf(bytes: Buffer): StoredManifest {
  try {
    const { isKnownType, blobs, manifests, subject } = parseManifest(bytes)
    const mentioned = isKnownType ? [] : digestsIn(bytes)
    return {
      kind: 'manifest',
      blobs: [...blobs.map(({ digest }) => digest), ...mentioned],
      manifests: [...manifests.map(({ digest }) => digest), ...mentioned],
      subject: subject?.digest,
    }
  } catch (err) {
    if (!(err instanceof RegistryError)) throw err
    return { kind: 'opaque', reason: err.message }
  }
}

function digestsIn(bytes: Buffer): readonly Digest[] {
  const found = bytes.toString('latin1').match(/sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})/g) ?? []
  return [...new Set(found)].filter(isDigest)
}
