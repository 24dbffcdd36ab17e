// A mirrored tag as tests look at it: what it means at the upstream, and how the mirror serves it.
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseTag, tagReference } from '../../lib/oci/reference.ts'
import type { Repository } from '../../lib/registry/registry.ts'
import { app, type Mirror } from './mirror.ts'

export const latest = parseTag('latest')
export const manifestRequests = /^\w+ .*\/manifests\//

/** An index without children: a manifest that refers to nothing, different for each `note`. */
export function indexOf(note: string) {
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], annotations: { note } }
}

/** Lets the tag mean another manifest at the upstream; its digest. */
export function moveTag({ upstream }: Pick<Mirror, 'upstream'>, note: string, tag: string = latest) {
  return upstream.addManifest(app, tag, indexOf(note), mediaTypes.ociIndex)
}

export async function pushTag({ manifests }: Repository, note: string, tag = latest) {
  return manifests.put(Buffer.from(JSON.stringify(indexOf(note))), mediaTypes.ociIndex, tagReference(tag))
}

/** How a tag is served: its digest and where that came from. */
export async function pullTag({ manifests }: Repository, tag = latest) {
  const { descriptor, bytes: _, ...provenance } = await manifests.get(tagReference(tag))
  return { digest: descriptor.digest, ...provenance }
}
