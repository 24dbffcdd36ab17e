// Manifests and indexes: reads what the registry must know (children, subject, media type) out of the bytes and never
// writes them again. Sources: image-spec manifest.md and image-index.md; distribution "Manifest V 2, Schema 2".
import { z } from 'zod'
import type { Descriptor, ManifestEntry } from './descriptor.ts'
import { isDigest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { essence, isIndexMediaType, mediaTypes } from './media-types.ts'

/** A manifest with its verbatim bytes. Whoever holds one must not change the bytes. */
export interface Manifest {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

/** What the bytes say. `blobs` is config first, then layers, as a registry checks them. */
export interface ManifestContent {
  readonly mediaType: string
  readonly blobs: readonly ManifestEntry[]
  readonly manifests: readonly ManifestEntry[]
  readonly subject: Descriptor | undefined
  readonly artifactType: string | undefined
  readonly annotations: Readonly<Record<string, string>> | undefined
}

/** Manifests larger than this are refused (distribution-spec: at least 4 MiB must be accepted). */
export const maxManifestBytes = 4 * 1024 * 1024

const digest = z.string().refine(isDigest, 'invalid digest')
const annotations = z.record(z.string(), z.string())
const entry = z.object({
  mediaType: z.string().default(mediaTypes.octetStream),
  digest,
  size: z.int().nonnegative(),
  urls: z
    .array(z.string())
    .nullish()
    .transform(urls => urls ?? undefined),
  platform: z
    .object({
      architecture: z.string().default(''),
      os: z.string().default(''),
      variant: z.string().optional(),
    })
    .nullish()
    .transform(platform => platform ?? undefined),
  artifactType: z.string().optional(),
  annotations: annotations.nullish().transform(value => value ?? undefined),
})
const document = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: entry.optional(),
  layers: z.array(entry).nullish(),
  blobs: z.array(entry).nullish(),
  manifests: z.array(entry).nullish(),
  subject: entry.nullish(),
  annotations: annotations.nullish(),
})

/**
 * Reads a manifest. `contentType` is what it was pushed or fetched under; undefined for bytes from storage, where no
 * media type is kept and the document's own `mediaType` or shape decides. Throws RegistryError MANIFEST_INVALID.
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): ManifestContent {
  const parsed = document.safeParse(parseJson(bytes))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw invalid(`${issue?.path.join('.') || 'manifest'}: ${issue?.message ?? 'invalid'}`)
  }
  const content = parsed.data
  const mediaType = decideMediaType(content, essence(contentType))
  const isIndex = isIndexMediaType(mediaType)
  if (isIndex && (content.config !== undefined || content.layers?.length))
    throw invalid('expected index but found manifest')
  if (!isIndex && content.manifests?.length) throw invalid('expected manifest but found index')
  return {
    mediaType,
    blobs: isIndex
      ? []
      : [
          ...(content.config === undefined ? [] : [content.config]),
          ...(content.layers ?? content.blobs ?? []),
        ],
    manifests: content.manifests ?? [],
    subject: content.subject ?? undefined,
    // distribution-spec "Listing Referrers": an empty artifactType counts as a missing one
    artifactType: content.artifactType || (isIndex ? undefined : content.config?.mediaType),
    annotations: content.annotations ?? undefined,
  }
}

function decideMediaType(content: z.infer<typeof document>, declared: string): string {
  const own = content.mediaType || undefined
  if (declared !== '' && own !== undefined && own !== declared) {
    throw invalid(`mediaType "${own}" does not match Content-Type "${declared}"`)
  }
  if (declared !== '') return declared
  if (own !== undefined) return own
  return content.manifests ? mediaTypes.ociIndex : mediaTypes.ociManifest
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new RegistryError('MANIFEST_INVALID', 'Cannot parse manifest: not JSON', {
      detail: 'manifest is not valid JSON',
      cause,
    })
  }
}

function invalid(detail: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', `Cannot accept manifest: ${detail}`, { detail })
}
