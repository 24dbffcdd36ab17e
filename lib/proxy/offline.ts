// An upstream that is never asked: what a mirror without a network has in place of each of its upstreams. It fails at
// once and as one in trouble, so that clients fall through to whom they know else, and nobody takes it for absence.
import { UpstreamError } from '../upstream/errors.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Everything throws UpstreamError `unavailable`. close() closes `upstream`. */
export function offline(upstream: Upstream): Upstream {
  const { name } = upstream
  const refuse = async () => {
    throw new UpstreamError('unavailable', name, `Cannot ask "${name}": offline`, { asked: false })
  }
  return {
    name,
    statBlob: refuse,
    openBlob: refuse,
    manifest: refuse,
    statManifest: refuse,
    referrers: refuse,
    tags: refuse,
    close: () => upstream.close(),
  }
}
