// Manifests and indexes: reads what the registry must know (children, subject, media type) out of the bytes and never
// writes them again. Sources: image-spec manifest.md and image-index.md; distribution "Manifest V 2, Schema 2".
//
// Types that we know are read strictly. Any other is JSON of which we understand only what looks like ours: members
// that are named as in an image manifest and are descriptors. No media type is stored, so that such a manifest must
// name its own, or it could not be given out again as what it was.
import * as z from 'zod'
import type { Descriptor, ManifestEntry } from './descriptor.ts'
import { isDigest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { essence, isIndexMediaType, isManifestType, manifestMediaTypes, mediaTypes } from './media-types.ts'

/** A manifest with its verbatim bytes. Whoever holds one must not change the bytes. */
export interface Manifest {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

/** What the bytes say. `blobs` is config first, then layers, as a registry checks them. */
export interface ManifestContent {
  readonly mediaType: string
  /** Whether we know what the media type means: then what the manifest refers to must be there before it. */
  readonly isKnownType: boolean
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

/** What of a descriptor in a manifest of an unknown type we can use. */
const lenientEntry = z.object({
  mediaType: z.string().catch(mediaTypes.octetStream),
  digest,
  size: entry.shape.size,
})

/**
 * Reads a manifest. `contentType` is what it was pushed or fetched under; undefined for bytes from storage, where no
 * media type is kept and the document's own `mediaType` or shape decides. Throws RegistryError MANIFEST_INVALID.
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): ManifestContent {
  const json = parseObject(bytes)
  const mediaType = decideMediaType(json, essence(contentType))
  return manifestMediaTypes.includes(mediaType) ? readKnown(json, mediaType) : readUnknown(json, mediaType)
}

/** A descriptor by itself, as it stands in a list of referrers; undefined if it is none that we could follow. */
export function parseManifestEntry(value: unknown): ManifestEntry | undefined {
  return entry.safeParse(value).data
}

type Json = Readonly<Record<string, unknown>>

function readKnown(json: Json, mediaType: string): ManifestContent {
  const parsed = document.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw invalid(`${issue?.path.join('.') || 'manifest'}: ${issue?.message ?? 'invalid'}`)
  }
  const content = parsed.data
  const isIndex = isIndexMediaType(mediaType)
  if (isIndex && (content.config !== undefined || content.layers?.length))
    throw invalid('expected index but found manifest')
  if (!isIndex && content.manifests?.length) throw invalid('expected manifest but found index')
  return {
    mediaType,
    isKnownType: true,
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

function readUnknown(json: Json, mediaType: string): ManifestContent {
  const { artifactType } = json
  return {
    mediaType,
    isKnownType: false,
    blobs: [json['config'], json['layers'], json['blobs']].flatMap(entriesIn),
    manifests: entriesIn(json['manifests']),
    subject: entriesIn(json['subject'])[0],
    artifactType: typeof artifactType === 'string' && artifactType !== '' ? artifactType : undefined,
    annotations: annotations.safeParse(json['annotations']).data,
  }
}

/** The descriptors in a list, or the one that a member is; nothing in anything else. */
function entriesIn(value: unknown): readonly ManifestEntry[] {
  return (Array.isArray(value) ? value : [value]).flatMap(item => lenientEntry.safeParse(item).data ?? [])
}

function decideMediaType(json: Json, declared: string): string {
  const own = typeof json['mediaType'] === 'string' ? json['mediaType'] : ''
  const mediaType = declared || own
  if (mediaType === '') return json['manifests'] ? mediaTypes.ociIndex : mediaTypes.ociManifest
  if (!isManifestType(mediaType))
    throw invalid(`unsupported manifest media type: "${mediaType.slice(0, 160)}"`)
  if (own !== '' && own !== mediaType) {
    throw invalid(`mediaType "${own.slice(0, 160)}" does not match Content-Type "${mediaType}"`)
  }
  if (own === '' && !manifestMediaTypes.includes(mediaType)) {
    throw invalid(`mediaType is missing: a manifest of type "${mediaType}" must name its type itself`)
  }
  return mediaType
}

function parseObject(bytes: Uint8Array): Json {
  const parsed = z.looseObject({}).safeParse(parseJson(bytes))
  if (!parsed.success) throw invalid('manifest: not a JSON object')
  return parsed.data
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
