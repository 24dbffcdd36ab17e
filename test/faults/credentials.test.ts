// Upstreams that want a token, and what can be wrong with that.
import { checkFaults, row } from './matrix.ts'

const auth = { username: 'mirror', password: 'right' }
const before = { auth }
const keys = 'username: mirror, password: right'
const token = { listener: 'token' as const }

checkFaults([
  row(
    'redirects blobs to another host',
    { before, keys, wrong: { rules: [{ redirect: true }] } },
    '– | – | 200 | – | 200 | 200 | 200',
  ),
  row(
    'token service takes 10 s',
    {
      before,
      keys: `${keys}, patience: 1s`,
      wrong: { rules: [{ match: token, latencyMs: 1000 }] },
      isSlow: true,
    },
    '200 | 200 stale | 200 | 200 | 200 | 200 from the second | 200',
  ),
  row(
    'token service answers 503',
    { before, keys, wrong: { rules: [{ match: token, status: 503 }] } },
    '200 | 200 stale | 200 | 503 | 503 | 200 from the second | 200',
  ),
  row(
    'refuses our credentials',
    { before, keys, wrong: { auth: { ...auth, password: 'changed' } } },
    '200 | 200 stale | 200 | 404 | 404 | 200 from the second | 200',
  ),
])
