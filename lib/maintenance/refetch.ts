// Fetches mirrored content again, as a client would: through the registry, to the last byte.
import { parseManifest } from '../oci/manifest.ts'
import type { Registry } from '../registry/registry.ts'
import type { Refetch } from './scrub.ts'

export function refetchingFrom(registry: Registry): Refetch {
  return async (name, kind, digest, options) => {
    const { blobs, manifests } = registry.repository(name)
    if (kind === 'manifest') {
      parseManifest((await manifests.get({ kind: 'digest', digest }, options)).bytes)
      return
    }
    const body = await blobs.open(digest, options)
    if (body.kind !== 'bytes') return
    for await (const chunk of await body.read(undefined, options)) void chunk
  }
}
