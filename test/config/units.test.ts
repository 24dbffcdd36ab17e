import fc from 'fast-check'
import t from 'tap'
import { formatDuration, parseDuration, parseSize } from '../../lib/config/units.ts'

t.test('parseDuration() rejects what Go would not read', async t => {
  const texts = [
    '',
    ' ',
    '-',
    '.',
    's',
    '1.5',
    '1d',
    '5 s',
    '1h 30m',
    '1h-30m',
    '.s',
    '1.2.3s',
    '0x10s',
    '1_000s',
    'ten',
  ]
  for (const text of [...texts, '9223372036854775808ns', '2562048h', '1e3s', '∞']) {
    t.equal(parseDuration(text), undefined, JSON.stringify(text))
  }
})

t.test('parseDuration() reads Go durations into milliseconds', async t => {
  const cases: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['1h30m5s', 5_405_000],
    ['168h', 604_800_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1.s', 1000],
    ['+5s', 5000],
    ['-5s', -5000],
    ['30m1h', 5_400_000],
    ['2000us', 2],
    ['2000µs', 2],
    ['2000μs', 2],
    ['2562047h47m16.854775807s', 9_223_372_036_855],
  ]
  for (const [text, milliseconds] of cases) t.equal(parseDuration(text), milliseconds, text)
})

t.test('parseDuration() takes an integer for nanoseconds', async t => {
  t.equal(parseDuration('5000000000'), 5000)
  t.equal(parseDuration('-5000000000'), -5000)
  t.equal(parseDuration('+1000000'), 1)
})

t.test('parseDuration() never turns a short time into none', async t => {
  for (const text of ['1ns', '1', '999us', '0.0001ms']) t.equal(parseDuration(text), 1, text)
  t.equal(parseDuration('1ms1ns'), 2)
  t.equal(parseDuration('-1ns'), -1)
})

t.test('parseDuration() adds up whatever parts a duration is written in', async t => {
  const unitMs = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const
  const part = fc.tuple(fc.nat(5000), fc.constantFrom(...(Object.keys(unitMs) as (keyof typeof unitMs)[])))
  const property = fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), parts => {
    const text = parts.map(([amount, unit]) => `${amount}${unit}`).join('')
    return parseDuration(text) === parts.reduce((sum, [amount, unit]) => sum + amount * unitMs[unit], 0)
  })

  t.doesNotThrow(() => fc.assert(property))
})

t.test('parseDuration() returns whole milliseconds or nothing for any text', async t => {
  const text = fc.string({ unit: fc.constantFrom(...'0123456789.-+hmsnuµ e'), maxLength: 12 })
  const property = fc.property(text, text => {
    const milliseconds = parseDuration(text)
    return milliseconds === undefined || Number.isSafeInteger(milliseconds)
  })

  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }))
})

t.test('parseSize() rejects what is no size', async t => {
  for (const text of [
    '',
    'GB',
    '-1',
    '1.5',
    '10 G',
    '10G',
    '1e3',
    '10XB',
    '10  GB',
    '10gbb',
    '1.B',
    '9007199254740993',
    '9PB9',
  ]) {
    t.equal(parseSize(text), undefined, JSON.stringify(text))
  }
})

t.test('parseSize() reads sizes into bytes', async t => {
  const cases: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['33554432', 33_554_432],
    ['7B', 7],
    ['10kB', 10_000],
    ['10GB', 10_000_000_000],
    ['512MiB', 536_870_912],
    ['512mib', 536_870_912],
    ['1.5 GiB', 1_610_612_736],
    ['2TB', 2_000_000_000_000],
    ['1PiB', 2 ** 50],
    ['1.0001kB', 1000],
  ]
  for (const [text, bytes] of cases) t.equal(parseSize(text), bytes, text)
})

t.test('parseSize() reads back every whole number of bytes and of binary units', async t => {
  const property = fc.property(fc.nat(2 ** 31 - 1), fc.constantFrom('KiB', 'MiB'), (amount, unit) => {
    const factor = unit === 'KiB' ? 2 ** 10 : 2 ** 20
    return parseSize(String(amount)) === amount && parseSize(`${amount}${unit}`) === amount * factor
  })

  t.doesNotThrow(() => fc.assert(property))
})

t.test('formatDuration() writes durations as Go does', async t => {
  const cases: readonly (readonly [milliseconds: number, expected: string])[] = [
    [0, '0s'],
    [250, '250ms'],
    [1500, '1.5s'],
    [60_000, '1m0s'],
    [54 * 60_000, '54m0s'],
    [3_600_000, '1h0m0s'],
    [168 * 3_600_000, '168h0m0s'],
    [-90_000, '-1m30s'],
  ]
  for (const [milliseconds, expected] of cases) t.equal(formatDuration(milliseconds), expected)
})

t.test('formatDuration() writes what parseDuration() reads', async t => {
  const property = fc.property(fc.maxSafeNat(), some => {
    const milliseconds = some % 1e12
    return parseDuration(formatDuration(milliseconds)) === milliseconds
  })

  t.doesNotThrow(() => fc.assert(property))
})
