// What a pushed manifest must satisfy beyond being well-formed: where its layers may be fetched from, and which children
// of an index must be there before it, and which kinds of content are taken at all. Source: distribution's configuration,
// `validation` and `policy.repository.classes`.
import type { ValidationConfig } from '../config/config.ts'
import type { ManifestEntry } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/errors.ts'
import type { ManifestContent } from '../oci/manifest.ts'
import { isIndexMediaType, mediaTypes } from '../oci/media-types.ts'

export interface ManifestRules {
  /**
   * Throws RegistryError MANIFEST_INVALID for a URL that is not allowed, DENIED for a kind of content that is not. Returns the content without the children that
   * need not exist.
   */
  check(content: ManifestContent): ManifestContent
}

/** Allows what is well-formed, and wants every child. */
export const noManifestRules: ManifestRules = { check: content => content }

/** `classes` holds even where validation is disabled; without any, every kind is taken. */
export function createManifestRules(
  { disabled, manifests: { urls, indexes } }: ValidationConfig,
  classes: readonly string[] = [],
): ManifestRules {
  const isAllowed = disabled ? () => true : urlFilter(urls.allow.map(compile), urls.deny.map(compile))
  const mustExist = disabled ? () => false : childFilter(indexes)
  return {
    check(content) {
      if (classes.length > 0) checkClass(content, classes)
      if (!content.isKnownType) return content
      for (const entry of content.blobs) checkUrls(entry, isAllowed)
      return { ...content, manifests: content.manifests.filter(mustExist) }
    },
  }
}

function urlFilter(allow: readonly RegExp[], deny: readonly RegExp[]): (url: string) => boolean {
  const isListed = allow.length === 0 ? () => true : matches(allow)
  const isDenied = matches(deny)
  return url => isListed(url) && !isDenied(url)
}

function matches(patterns: readonly RegExp[]): (text: string) => boolean {
  return text => patterns.some(pattern => pattern.test(text))
}

/** Only of types whose URLs clients follow: elsewhere they are a remark. */
function checkUrls(
  { mediaType, digest, urls = [] }: ManifestEntry,
  isAllowed: (url: string) => boolean,
): void {
  if (mediaType !== mediaTypes.dockerForeignLayer && !mediaType.startsWith(ociLayerPrefix)) return
  if (mediaType === mediaTypes.dockerForeignLayer && urls.length === 0) {
    throw invalid(`missing URL on layer ${digest}`)
  }
  for (const url of urls) {
    if (!isPlainHttp(url) || !isAllowed(url))
      throw invalid(`invalid URL on layer ${digest}: "${url.slice(0, 500)}"`)
  }
}

const ociLayerPrefix = 'application/vnd.oci.image.layer.'

function isPlainHttp(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hash } = new URL(text)
  return (protocol === 'http:' || protocol === 'https:') && hash === ''
}

/** A child that tells no platform, as attestations do, is for none. */
function childFilter({
  platforms,
  platformlist,
}: ValidationConfig['manifests']['indexes']): (child: ManifestEntry) => boolean {
  if (platforms === 'none') return () => false
  if (platforms === 'all' || platformlist.length === 0) return () => true
  return ({ platform }) =>
    platformlist.some(({ architecture, os }) => architecture === platform?.architecture && os === platform.os)
}

function compile(pattern: string): RegExp {
  return new RegExp(pattern, 'u')
}

function invalid(detail: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', `Cannot accept manifest: ${detail}`, { detail })
}

const classesOfConfig: Readonly<Record<string, string>> = {
  'application/vnd.oci.image.config.v1+json': 'image',
  'application/vnd.docker.container.image.v1+json': 'image',
  'application/vnd.docker.plugin.v1+json': 'plugin',
}

/** The kind of content is told by the configuration that a manifest names. Indexes are whatever their children are. */
function checkClass({ mediaType, isKnownType, blobs }: ManifestContent, classes: readonly string[]): void {
  if (isIndexMediaType(mediaType)) return
  const configType = (isKnownType ? blobs[0]?.mediaType : undefined) ?? mediaType
  const found = Object.hasOwn(classesOfConfig, configType) ? classesOfConfig[configType] : undefined
  if (found !== undefined && classes.includes(found)) return
  const detail =
    found === undefined
      ? `unknown manifest class for ${configType.slice(0, 200)}`
      : `manifests of class ${found} are not allowed`
  throw new RegistryError('DENIED', `Cannot accept manifest: ${detail}`, { detail })
}
