// If-Match, If-None-Match and If-Range. Content is named by its digest, so its entity tag is the digest and never weak.
// There is no Last-Modified, hence conditions on dates are ignored. Source: RFC 9110, 13.1 and 13.2.2.
import type { Digest } from '../oci/digest.ts'
import type { Context } from './context.ts'
import { HttpError } from './http-error.ts'

export function entityTag(digest: Digest): string {
  return `"${digest}"`
}

/**
 * Judges the conditions of a GET or HEAD that would be answered 200: true if the client has the content already (304).
 * Throws HttpError 412 if If-Match, which comes first, does not hold.
 */
export function isNotModified(ctx: Context, digest: Digest): boolean {
  const { 'if-match': wanted, 'if-none-match': known } = ctx.req.headers
  if (wanted !== undefined && !lists(wanted, digest, 'strong')) {
    throw new HttpError('UNSUPPORTED', `Cannot serve "${digest}": If-Match does not hold`, {
      status: 412,
      detail: `precondition failed: the content is ${digest}`,
      headers: { ETag: entityTag(digest) },
    })
  }
  return known !== undefined && lists(known, digest, 'weak')
}

/** Whether a Range header counts: without If-Range, or with our very tag. A date never matches, nor does a weak tag. */
export function isRangeWelcome(ctx: Context, digest: Digest): boolean {
  const condition = ctx.get('If-Range')
  return condition === '' || condition === entityTag(digest)
}

const candidates = /(W\/)?"([^"]*)"|[^\s,"]+/g

/** Whether a header is `*` or lists the digest, as a tag or bare, as some registry clients send it. */
function lists(header: string, digest: Digest, comparison: 'weak' | 'strong'): boolean {
  if (header.trim() === '*') return true
  for (const [bare, weak, tag = bare] of header.matchAll(candidates)) {
    if (tag === digest && (comparison === 'weak' || weak === undefined)) return true
  }
  return false
}
