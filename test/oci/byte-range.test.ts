import fc from 'fast-check'
import t from 'tap'
import {
  formatContentRange,
  formatUploadRange,
  parseContentRange,
  parseRange,
  parseUploadRange,
} from '../../lib/oci/byte-range.ts'

const ignored = { kind: 'ignored' } as const
const unsatisfiable = { kind: 'unsatisfiable' } as const

t.test('parseRange() ignores what RFC 9110 calls invalid', async t => {
  const cases: readonly (readonly [header: string, why: string])[] = [
    ['', 'empty'],
    ['bytes', 'no set'],
    ['bytes=', 'empty set'],
    ['bytes=,', 'only commas'],
    ['bytes=-', 'neither end'],
    ['bytes=9-3', 'last byte before first'],
    ['bytes=0-4,9-3', 'one of two is invalid'],
    ['bytes=a-b', 'no numbers'],
    ['bytes=1.5-2', 'a fraction'],
    ['bytes=-1-2', 'a sign'],
    ['bytes=0x1-0x2', 'hexadecimal'],
    ['bytes=0-4;5-6', 'wrong separator'],
    ['items=0-4', 'another unit'],
    ['kbytes=0-4', 'a unit that ends alike'],
    ['0-4', 'no unit'],
    [`bytes=${Array.from({ length: 1_025 }, (_, i) => `${i * 10}-${i * 10}`).join()}`, '1,025 pieces'],
    [`bytes=${'0-0,'.repeat(1_025)}`, '1,025 times the same'],
  ]
  for (const [header, why] of cases) t.same(parseRange(header, 100_000), ignored, why)
})

t.test('parseRange() ignores a header that asks for more than there is: the whole costs less', async t => {
  for (const header of [
    'bytes=0-5,3-9',
    'bytes=0-,-1',
    'bytes=0-,0-,0-',
    'bytes=3-4,0-9',
    'bytes=0-99,5-5',
  ]) {
    t.same(parseRange(header, 10), ignored, header)
  }
})

t.test('parseRange() takes 1,024 pieces, in their order', async t => {
  const ranges = Array.from({ length: 1_024 }, (_, i) => ({
    start: (1_023 - i) * 10,
    end: (1_023 - i) * 10 + 5,
  }))
  const header = `bytes=${ranges.map(({ start, end }) => `${start}-${end - 1}`).join(', ')}`

  t.same(parseRange(header, 10_240), { kind: 'ranges', ranges })
})

t.test('parseRange() tells a range that begins at or after the end from a malformed one', async t => {
  const cases: readonly (readonly [header: string, sizeBytes: number])[] = [
    ['bytes=10-', 10],
    ['bytes=10-20', 10],
    ['bytes=99-100,200-', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=0-0', 0],
    ['bytes=-5', 0],
    [`bytes=${'9'.repeat(30)}-`, 10],
  ]
  for (const [header, sizeBytes] of cases) {
    t.same(parseRange(header, sizeBytes), unsatisfiable, `${header} of ${sizeBytes}`)
  }
})

t.test('parseRange() reads first-last, first- and -length', async t => {
  const cases: readonly (readonly [header: string, ranges: readonly (readonly [number, number])[]])[] = [
    ['bytes=0-0', [[0, 1]]],
    ['bytes=0-4', [[0, 5]]],
    ['bytes=5-', [[5, 10]]],
    ['bytes=9-', [[9, 10]]],
    ['bytes=0-', [[0, 10]]],
    ['bytes=-1', [[9, 10]]],
    ['bytes=-10', [[0, 10]]],
    ['bytes=-99', [[0, 10]]],
    ['bytes=3-99', [[3, 10]]],
    [`bytes=0-${'9'.repeat(30)}`, [[0, 10]]],
    ['Bytes = 0-1', [[0, 2]]],
    ['bytes=0 - 1', [[0, 2]]],
    [
      'bytes= 0-1 , 4-5 ,',
      [
        [0, 2],
        [4, 6],
      ],
    ],
    ['bytes=20-30,0-1', [[0, 2]]],
  ]
  for (const [header, pairs] of cases) {
    const ranges = pairs.map(([start, end]) => ({ start, end }))
    t.same(parseRange(header, 10), { kind: 'ranges', ranges }, header)
  }
})

t.test(
  'parseRange() merges what overlaps, and keeps apart and in order what was asked for apart',
  async t => {
    const table: readonly (readonly [header: string, pairs: readonly (readonly [number, number])[]])[] = [
      [
        'bytes=6-7,0-2,2-3,-1',
        [
          [6, 8],
          [0, 4],
          [9, 10],
        ],
      ],
      [
        'bytes=0-2,3-4,5-9',
        [
          [0, 3],
          [3, 5],
          [5, 10],
        ],
      ],
      [
        'bytes=8-9,4-5,0-1',
        [
          [8, 10],
          [4, 6],
          [0, 2],
        ],
      ],
      ['bytes=3-4,2-7', [[2, 8]]],
      [
        'bytes=0-1,5-6,5-6,1-2',
        [
          [0, 3],
          [5, 7],
        ],
      ],
    ]
    for (const [header, pairs] of table) {
      const ranges = pairs.map(([start, end]) => ({ start, end }))
      t.same(parseRange(header, 10), { kind: 'ranges', ranges }, header)
    }
  },
)

t.test('parseRange() covers exactly the bytes that were asked and exist', async t => {
  const spec = fc.oneof(
    fc.tuple(fc.nat(30), fc.nat(30)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
    fc.nat(30).map(a => [a, undefined] as const),
    fc.nat(30).map(length => [undefined, length] as const),
  )
  const property = fc.property(
    fc.array(spec, { minLength: 1, maxLength: 12 }),
    fc.nat(25),
    (specs, sizeBytes) => {
      const header = `bytes=${specs.map(([first, last]) => `${first ?? ''}-${last ?? ''}`).join(',')}`
      const asked = Array.from({ length: sizeBytes }, (_, at) =>
        specs.some(([first, last]) =>
          first === undefined ? at >= sizeBytes - last : at >= first && at <= (last ?? Infinity),
        ),
      )

      const verdict = parseRange(header, sizeBytes)

      if (verdict.kind === 'ignored') return specs.length > 1
      if (verdict.kind === 'unsatisfiable') return !asked.includes(true)
      const given = asked.map((_, at) => verdict.ranges.some(({ start, end }) => at >= start && at < end))
      const sorted = verdict.ranges.toSorted((a, b) => a.start - b.start)
      const apart = sorted.every(({ start }, i) => i === 0 || start >= (sorted[i - 1]?.end ?? 0))
      return apart && verdict.ranges.every(r => r.end <= sizeBytes) && given.join() === asked.join()
    },
  )

  t.doesNotThrow(() => fc.assert(property, { numRuns: 1_000 }))
})

t.test('parseRange() never throws, whatever the header', async t => {
  const anything = fc.oneof(
    fc.string(),
    fc.string().map(text => `bytes=${text}`),
  )

  t.doesNotThrow(() =>
    fc.assert(fc.property(anything, fc.nat(), (header, size) => void parseRange(header, size))),
  )
})

t.test('parseUploadRange() rejects what is no range of bytes', async t => {
  for (const header of [
    '',
    '5',
    '-',
    '5-',
    '-5',
    '9-3',
    'a-b',
    '0-4,6-7',
    'items 0-4',
    '0--1',
    `0-${'9'.repeat(16)}`,
  ]) {
    t.throws(
      () => parseUploadRange(header),
      { name: 'RegistryError', code: 'RANGE_INVALID' },
      JSON.stringify(header),
    )
  }
})

t.test('parseUploadRange() takes the end for inclusive, with and without HTTP dress', async t => {
  t.same(parseUploadRange('0-0'), { start: 0, end: 1 })
  t.same(parseUploadRange('5-9'), { start: 5, end: 10 })
  t.same(parseUploadRange(' bytes 5-9/100 '), { start: 5, end: 10 })
  t.same(parseUploadRange('bytes=5-9'), { start: 5, end: 10 })
  t.same(parseUploadRange('5-9/*'), { start: 5, end: 10 })
})

t.test('formatUploadRange() answers 0-0 for nothing and for one byte', async t => {
  t.equal(formatUploadRange(0), '0-0')
  t.equal(formatUploadRange(1), '0-0')
  t.equal(formatUploadRange(100), '0-99')
})

t.test('parseContentRange() knows an answer that cannot be trusted', async t => {
  const headers = [
    '',
    'bytes */10',
    '0-4/10',
    'bytes 5-4/10',
    'bytes 0-4',
    'items 0-4/10',
    'bytes 0-10/10',
    'bytes 0-4/3',
  ]
  for (const header of headers) t.equal(parseContentRange(header), undefined, JSON.stringify(header))
})

t.test('parseContentRange() reads what formatContentRange() writes', async t => {
  const property = fc.property(fc.nat(), fc.nat(), fc.nat(), (start, extra, after) => {
    const range = { start, end: start + extra + 1 }
    const total = range.end + after
    const read = parseContentRange(formatContentRange(range, total))
    return read?.start === range.start && read.end === range.end && read.total === total
  })

  t.doesNotThrow(() => fc.assert(property))
  t.equal(formatContentRange({ start: 0, end: 5 }, 10), 'bytes 0-4/10')
  t.same(parseContentRange('bytes 5-9/*'), { start: 5, end: 10, total: undefined })
})
