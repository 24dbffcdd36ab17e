// /v2/<name>/referrers/<digest>: distribution-spec end-12a and end-12b. The answer is an index, made for the occasion:
// an empty one where nothing refers to the digest, be there such a manifest or not.
import type { ManifestEntry } from '../../oci/descriptor.ts'
import { parseDigest } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import type { Registry } from '../../registry/registry.ts'
import { referrersDescription } from '../api/referrers.ts'
import { queryValue, type Context } from '../context.ts'
import { access, type Params, type RepositoryEndpoint } from '../endpoint.ts'
import { parsePage, setNextPage } from '../paging.ts'
import { setProvenance } from '../provenance.ts'

/** Entries of a page, whatever n says. */
const maxReferrers = 1000

export function referrerEndpoints({
  registry,
}: {
  readonly registry: Registry
}): readonly RepositoryEndpoint[] {
  async function list(ctx: Context, { name, argument }: Params): Promise<void> {
    const subject = parseDigest(argument)
    const { limit = maxReferrers, after } = parsePage(ctx)
    const artifactType = queryValue(ctx, 'artifactType')
    const page = { limit: Math.min(limit, maxReferrers), after }
    const { referrers } = registry.repository(name)
    const found = await referrers.list(subject, { artifactType }, page, { signal: ctx.state.signal })
    setProvenance(ctx, found)
    const items = found.items.map(({ digest }) => digest)
    const filter = artifactType === undefined ? undefined : { artifactType }
    setNextPage(ctx, { items, more: found.more }, { n: String(page.limit), ...filter })
    if (filter !== undefined) ctx.set('OCI-Filters-Applied', 'artifactType')
    ctx.set('Content-Type', mediaTypes.ociIndex)
    ctx.body = JSON.stringify(indexOf(found.items))
  }

  return [
    {
      name: 'referrers',
      method: 'GET',
      path: '/v2/*name/referrers/:digest',
      describe: referrersDescription,
      access: access.pull,
      handle: list,
    },
  ]
}

function indexOf(manifests: readonly ManifestEntry[]): object {
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
}
