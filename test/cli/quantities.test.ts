import t from 'tap'
import { formatAgo, formatBytes, formatTime } from '../../lib/cli/quantities.ts'

t.test('formatBytes() has two or three digits and the largest unit', async t => {
  const cases = {
    '0 B': 0,
    '999 B': 999,
    '1.0 kB': 1000,
    '9.9 kB': 9949,
    '10 kB': 9950,
    '999 kB': 999_499,
    '1.0 MB': 999_500,
    '1.2 GB': 1_234_000_000,
    '35 TB': 35e12,
    '2000 PB': 2e18,
  }
  for (const [text, bytes] of Object.entries(cases)) t.equal(formatBytes(bytes), text)
})

t.test('formatTime() has whole units of the largest that has passed', async t => {
  const cases = {
    '0s': -1,
    '59s': 59_999,
    '1m': 60_000,
    '59m': 3_599_999,
    '47h': 47 * 3_600_000,
    '2d': 48 * 3_600_000,
  }
  for (const [text, ms] of Object.entries(cases)) t.equal(formatTime(ms), text)
  t.equal(formatAgo(undefined, 5), '-')
  t.equal(formatAgo(1000, 4000), '3s ago')
})
