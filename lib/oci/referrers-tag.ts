// The tag under which clients keep a list of referrers at registries that have no API for it: an index whose manifests
// are the referrers. Source: distribution-spec "Referrers Tag Schema".
import { algorithmOf, hexOf, type Digest } from './digest.ts'
import { parseTag, type Tag } from './reference.ts'

/** The tag for the referrers of `subject`; the longest digests share one with those that begin alike. */
export function referrersTag(subject: Digest): Tag {
  return parseTag(`${algorithmOf(subject).slice(0, 32)}-${hexOf(subject).slice(0, 64)}`)
}
