// Referrers of a mirrored repository: its upstream's, and those that are here under either of its names. Where both
// have one, what is here describes it: its own bytes were read. An upstream that cannot be asked leaves what is here.
import type { CallOptions, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { ReferrerPage } from '../registry/referrer-page.ts'
import type { ReferrerService } from '../registry/registry.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { PullThroughContext } from './pull-through.ts'
import { staleness } from './revalidation.ts'
import type { UpstreamList } from './upstream-lists.ts'

export function pullThroughReferrers(context: PullThroughContext): ReferrerService {
  const { route, hosted, mirrored, referrerLists } = context
  const { upstream, freshness } = route
  const services = mirrored === hosted ? [hosted.referrers] : [hosted.referrers, mirrored.referrers]

  async function there(subject: Digest, options?: CallOptions): Promise<UpstreamList<ManifestEntry>> {
    const key = `referrers ${route.stored}@${subject}`
    const ask = async () => (await upstream.referrers(route.name, subject)).map(asReferrer)
    try {
      return await referrerLists.get({ key, upstream, freshness, ask }, options)
    } catch (err) {
      if (!(err instanceof UpstreamError)) throw err
      return { items: undefined, cache: 'STALE', stale: staleness(err) }
    }
  }

  return {
    async list(subject, filter, page, options) {
      const { after = '' } = page
      const { artifactType } = filter
      const { items = [], ...provenance } = await there(subject, options)
      const pages = await Promise.all(services.map(service => service.list(subject, filter, page, options)))
      const found = new Map<Digest, ManifestEntry>()
      for (const entry of items) {
        const isWanted = artifactType === undefined || entry.artifactType === artifactType
        if (isWanted && entry.digest > after) found.set(entry.digest, entry)
      }
      for (const own of pages.toReversed()) for (const entry of own.items) found.set(entry.digest, entry)
      // Beyond the end of a page that goes on we do not know what is here.
      const ends = pages.filter(({ more }) => more).map(own => own.items.at(-1)?.digest ?? after)
      const end = ends.toSorted()[0]
      const listed = new ReferrerPage(page)
      for (const digest of [...found.keys()].toSorted()) {
        const entry = found.get(digest)
        if (entry === undefined || (end !== undefined && digest > end) || !listed.take(entry)) break
      }
      const union = listed.end()
      const more = union.more || end !== undefined
      return { items: union.items, more, ...provenance }
    },
  }
}

/** What a list of referrers tells; a fallback tag's entries may say more. */
function asReferrer({ mediaType, digest, size, artifactType, annotations }: ManifestEntry): ManifestEntry {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  }
}
