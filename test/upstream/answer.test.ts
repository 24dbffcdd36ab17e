import t from 'tap'
import { parseRetryAfter } from '../../lib/upstream/answer.ts'

t.test('parseRetryAfter() reads seconds and HTTP dates', async t => {
  const nowMs = Date.parse('2026-03-01T12:00:00Z')
  const cases: readonly (readonly [header: string | undefined, ms: number | undefined, why: string])[] = [
    [undefined, undefined, 'none'],
    ['', undefined, 'empty'],
    ['soon', undefined, 'a word'],
    ['-5', undefined, 'negative'],
    ['1.5', undefined, 'not whole'],
    ['0', 0, 'at once'],
    [' 120 ', 120_000, 'seconds'],
    ['Sun, 01 Mar 2026 12:00:30 GMT', 30_000, 'date'],
    ['Sun, 01 Mar 2026 11:00:00 GMT', 0, 'date that has passed'],
  ]
  for (const [header, ms, why] of cases) t.equal(parseRetryAfter(header, nowMs), ms, why)
})
