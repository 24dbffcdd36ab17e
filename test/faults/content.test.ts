// Upstreams whose content, or what they say of it, is wrong.
import { checkFaults, row } from './matrix.ts'

const zeros = `sha256:${'0'.repeat(64)}`
/** Rules for blobs and for manifests, HEAD included, but for no errors. */
const content = { kind: ['blob' as const, 'manifest' as const] }

checkFaults([
  row(
    'a byte is wrong',
    { wrong: { rules: [{ match: content, flipByteAt: 100 }] } },
    '200 | 200 revalidated | 200 | 503 | reset | reset, then 200 from the second | 200',
  ),
  row(
    'the end is missing',
    { wrong: { rules: [{ match: content, truncateBy: 10 }] } },
    '200 | 200 revalidated | 200 | 503 | reset | 200 from the second | 200',
  ),
  row(
    'there is more at the end',
    { wrong: { rules: [{ match: content, lengthenBy: 10 }] } },
    '200 | 200 revalidated | 200 | 503 | reset | reset, then 200 from the second | 200',
  ),
  row(
    'no Content-Length',
    { wrong: { rules: [{ match: content, chunked: true }] } },
    '200 | 200 revalidated | 200 | 200 | 200 | 200 | 200',
  ),
  row(
    'gzip that nobody asked for',
    { wrong: { rules: [{ match: content, gzip: 'applied' }] } },
    '200 | 200 revalidated | 200 | 503 | 503 | 200 from the second | 200',
  ),
  row(
    'no Docker-Content-Digest',
    { wrong: { rules: [{ match: content, headers: { 'docker-content-digest': null } }] } },
    '200 | 200 revalidated | 200 | 200 | 200 | 200 | 200',
  ),
  row(
    'another Docker-Content-Digest',
    { wrong: { rules: [{ match: content, headers: { 'docker-content-digest': zeros } }] } },
    '200 | 200 stale | 200 | 503 | 200 | 200 from the second | 200',
  ),
])
