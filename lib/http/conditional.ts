// If-None-Match. Content is named by its digest, so its entity tag is the digest and never weak.
// Source: RFC 9110, 13.1.2.
import type { Digest } from '../oci/digest.ts'
import type { Context } from './context.ts'

export function entityTag(digest: Digest): string {
  return `"${digest}"`
}

/**
 * Whether the client has this content already: its header lists the digest as a strong or weak tag, or bare, as some
 * registry clients send it, or is `*`.
 */
export function isKnownToClient(ctx: Context, digest: Digest): boolean {
  const header = ctx.req.headers['if-none-match']
  if (header === undefined) return false
  return header.split(',').some(tag => {
    const candidate = tag.trim()
    if (candidate === '*' || candidate === digest) return true
    return (candidate.startsWith('W/') ? candidate.slice(2) : candidate) === entityTag(digest)
  })
}
