// Upstreams that answer, but not with what was asked for.
import { checkFaults, row } from './matrix.ts'

const anyStatus = (status: number, more = {}) => ({ rules: [{ status, ...more }] })
const blobs = { kind: 'blob' as const, listener: 'registry' as const }

checkFaults([
  row(
    '429 with Retry-After',
    { wrong: anyStatus(429, { headers: { 'retry-after': '30' } }) },
    '200 | 200 stale | 200 | 503, Retry-After | 503, Retry-After | 200 from the second | 200',
  ),
  row(
    '429 without Retry-After',
    { wrong: anyStatus(429) },
    '200 | 200 stale | 200 | 503 | 503 | 200 from the second | 200',
  ),
  row(
    '5 % of its rate limit left',
    {
      wrong: {
        rules: [{ headers: { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '5;w=21600' } }],
      },
      isToldByOthers: true,
    },
    '200 | 200 | 200 | 200 | 200 | 200 | 200',
  ),
  row(
    '500, then 502, then well',
    { wrong: { rules: [...anyStatus(502, { times: 2 }).rules, ...anyStatus(500, { times: 1 }).rules] } },
    '200 | 200 revalidated | 200 | 200 after retries | 200 after retries | 200 | 200',
  ),
  row(
    '503, for good',
    { wrong: anyStatus(503) },
    '200 | 200 stale | 200 | 503 | 503 | 200 from the second | 200',
  ),
  row('404 (deleted)', { wrong: anyStatus(404) }, '200 | 404 | 200 | 404 | 404 | 200 from the second | 200'),
  row(
    'refuses HEAD',
    {
      wrong: {
        rules: [
          { match: { ...blobs, method: 'HEAD' }, status: 401 },
          { match: { kind: 'manifest', method: 'HEAD' }, status: 405 },
        ],
      },
      isAskedWithHead: true,
    },
    '200 | 200 revalidated | 200 | 200 | 200 | 200 | 200',
  ),
  row(
    'redirects blobs to a private address',
    { wrong: { rules: [{ match: blobs, status: 307, headers: { location: 'http://10.0.0.1/blob' } }] } },
    '– | – | 200 | – | 503 | 200 from the second | 200',
  ),
])
