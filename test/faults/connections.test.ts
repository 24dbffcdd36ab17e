// Upstreams that cannot be reached, are slow, or break off.
import { checkFaults, row } from './matrix.ts'
import { layerBytes } from './scene.ts'

const patience = 'patience: 1s, timeouts: {headers: 1s}'
const middle = layerBytes / 2

const cutOnce = {
  rules: [
    { match: { kind: 'blob' as const }, cut: { afterBytes: middle, times: 1 } },
    { match: { kind: 'manifest' as const }, cut: { afterBytes: 100, times: 1 } },
  ],
}
const cutAlways = {
  rules: [
    { match: { kind: 'blob' as const }, cut: { afterBytes: 100_000 } },
    { match: { kind: 'manifest' as const }, cut: { afterBytes: 100 } },
  ],
}

checkFaults([
  row(
    'refuses connections',
    { wrong: { listening: false } },
    '200 | 200 stale | 200 | 503 | 503 | 200 from the second | 200',
  ),
  row(
    'closes connections unanswered',
    { wrong: 'reset' },
    '200 | 200 stale | 200 | 503 | 503 | 200 from the second | 200',
  ),
  row(
    'never answers (black hole)',
    { wrong: { rules: [{ blackHole: true }] }, keys: patience, isSlow: true },
    '200 | 200 stale | 200 | 503 | 503 | 200 from the second | 200',
  ),
  row(
    'takes 10 s to answer',
    { wrong: { rules: [{ latencyMs: 1000 }] }, keys: 'patience: 1s', isSlow: true },
    '200 | 200 stale | 200 | 200 | 200 | 200 from the second | 200',
  ),
  row(
    'sends bodies slowly',
    { wrong: { rules: [{ bytesPerSecond: 1_000_000 }] } },
    '200 | 200 revalidated | 200 | 200 | 200 | 200 | 200',
  ),
  row(
    'breaks bodies off, once',
    { wrong: cutOnce },
    '200 | 200 revalidated | 200 | 200 | 200 resumed | 200 from the second | 200',
  ),
  row(
    'breaks off every body',
    { wrong: cutAlways },
    '200 | 200 revalidated | 200 | 503 | 200 resumed | 200 from the second | 200',
  ),
])
