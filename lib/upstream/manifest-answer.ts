// What is believed of an upstream's answer about a manifest: nothing but what its bytes prove.
import type { CallOptions, Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, digestOf, isDigest, type Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { maxManifestBytes, parseManifest, type Manifest } from '../oci/manifest.ts'
import { essence, manifestMediaTypes } from '../oci/media-types.ts'
import { formatReference, type Reference } from '../oci/reference.ts'
import { readBody, type HttpAnswer } from './answer.ts'
import { contentLength } from './body.ts'
import { UpstreamError } from './errors.ts'

/** Docker-Content-Digest; undefined if there is none, or one that we cannot compute. */
export function contentDigest(answer: HttpAnswer): Digest | undefined {
  const text = answer.header('docker-content-digest')?.trim()
  return text !== undefined && isDigest(text) ? text : undefined
}

/** The descriptor that a HEAD answer tells; undefined if it does not tell it all, or contradicts the reference. */
export function describeManifest(answer: HttpAnswer, reference: Reference): Descriptor | undefined {
  const asked = reference.kind === 'digest' ? reference.digest : undefined
  const digest = contentDigest(answer) ?? asked
  const mediaType = manifestType(answer)
  const size = contentLength(answer)
  if (digest === undefined || mediaType === undefined || size === undefined) return undefined
  return asked !== undefined && asked !== digest ? undefined : { mediaType, digest, size }
}

/**
 * Reads the answer to a GET and ends it. Throws UpstreamError `invalid` unless the bytes hash to the digest that was
 * asked for and to the one that was told, and are a manifest of the type that was told.
 */
export async function readManifest(
  answer: HttpAnswer,
  upstream: string,
  reference: Reference,
  options: CallOptions = {},
): Promise<Manifest> {
  const bytes = await readBody(answer, upstream, maxManifestBytes, options)
  const told = answer.header('docker-content-digest')?.trim()
  const expected = [
    ...(reference.kind === 'digest' ? [reference.digest] : []),
    ...(told !== undefined && /^sha(?:256|512):/.test(told) ? [told] : []),
  ]
  for (const digest of expected) {
    if (!isDigest(digest) || digestOf(bytes, algorithmOf(digest)) !== digest) {
      throw invalid(answer, upstream, reference, `its bytes are not "${digest.slice(0, 160)}"`)
    }
  }
  try {
    const { mediaType } = parseManifest(bytes, manifestType(answer))
    const digest = reference.kind === 'digest' ? reference.digest : (contentDigest(answer) ?? digestOf(bytes))
    return { descriptor: { mediaType, digest, size: bytes.length }, bytes }
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause
    throw invalid(answer, upstream, reference, cause.message, cause)
  }
}

/** The media type of the answer, if it is one of a manifest: some registries send application/json. */
function manifestType(answer: HttpAnswer): string | undefined {
  const mediaType = essence(answer.header('content-type'))
  return manifestMediaTypes.includes(mediaType) ? mediaType : undefined
}

function invalid(
  answer: HttpAnswer,
  upstream: string,
  reference: Reference,
  problem: string,
  cause?: unknown,
): UpstreamError {
  const message = `Cannot accept manifest "${formatReference(reference)}" from "${upstream}": ${problem}`
  return new UpstreamError('invalid', upstream, message, { status: answer.status, cause })
}
