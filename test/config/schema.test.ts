import t from 'tap'
import type { z } from 'zod'
import * as schema from '../../lib/config/schema.ts'

/** What a piece says it expected, for each of some inputs; undefined where it was content. */
function complaint(piece: z.ZodType, input: unknown): string | undefined {
  const parsed = piece.safeParse(input)
  return parsed.success ? undefined : parsed.error.issues[0]?.message
}

const { choice, duration, flag, headers, httpUrl, integer, pattern, positiveDuration, secret, size, text } =
  schema

t.test('pieces say what they expected', async t => {
  const cases: readonly (readonly [z.ZodType, string, readonly unknown[]])[] = [
    [flag, 'true or false', ['maybe', '', '1', null, undefined, [], {}]],
    [integer(), 'a whole number', ['1.5', '', 'x', '1e3', '9007199254740993', null, []]],
    [integer(0), 'a whole number of at least 0', ['-1', '0x10']],
    [duration, 'a duration such as 168h or 1h30m', ['soon', '', null, 5.5]],
    [positiveDuration, 'a duration longer than zero, such as 24h', ['0s', '-1h', 'x']],
    [size, 'a size such as 10GB or 512MiB', ['much', null]],
    [text, 'a string', [null, [], {}]],
    [secret, 'a string', [null, ['a']]],
    [choice('tcp', 'unix'), 'one of tcp, unix', ['udp', '', null]],
    [choice('', '0.1'), '"0.1"', ['0.2', 'x']],
    [
      httpUrl,
      'a URL that begins with http:// or https://',
      ['registry:5000', 'ftp://x', 'https://', '/x', null],
    ],
    [
      pattern,
      'a regular expression that JavaScript has, too',
      ['(', '(?i)a', '\\Ahttps', '[[:alpha:]]', '\\z', null],
    ],
  ]
  for (const [piece, expected, inputs] of cases) {
    for (const input of inputs)
      t.equal(complaint(piece, input), expected, `${expected}: ${JSON.stringify(input)}`)
  }
})

t.test('pieces take text as well as typed values', async t => {
  for (const on of [true, 'true', 'True', 'yes', 'on', 'Y']) t.equal(flag.parse(on), true, String(on))
  for (const off of [false, 'false', 'NO', 'off', 'n']) t.equal(flag.parse(off), false, String(off))
  t.equal(integer(25).parse('25'), 25)
  t.equal(integer().parse(-3), -3)
  t.equal(duration.parse('1m'), 60_000)
  t.equal(duration.parse(5_000_000), 5)
  t.equal(size.parse('1KiB'), 1024)
  t.equal(text.parse(5000), '5000')
  t.equal(secret.parse('0123'), '0123')
  t.equal(choice('error', 'info').parse('INFO'), 'info')
  t.equal(httpUrl.parse('HTTPS://Registry.example:8443/x').href, 'https://registry.example:8443/x')
  t.equal(pattern.parse('^https?://[^/]+\\.example\\.com/'), '^https?://[^/]+\\.example\\.com/')
})

t.test('headers refuses what HTTP could not carry', async t => {
  const name = headers.safeParse({ 'X Y': ['a'] })
  const value = headers.safeParse({ X: ['a\r\nSet-Cookie: b'] })

  t.match(name.error?.issues, [{ code: 'invalid_key', path: ['X Y'] }])
  t.match(value.error?.issues, [{ message: 'the value of an HTTP header', path: ['X', 0] }])
  t.same(headers.parse({ A: ['b', 'c'], D: 'e', F: null }), { A: ['b', 'c'], D: ['e'], F: [] })
})

t.test('section() refuses unknown keys and fills in for missing ones', async t => {
  const piece = schema.section({
    a: schema.optional(integer(), 1),
    b: schema.section({ c: schema.optional(text, 'd') }),
  })

  t.match(piece.safeParse({ e: 1 }).error?.issues, [{ code: 'unrecognized_keys', keys: ['e'] }])
  t.match(piece.safeParse('a').error?.issues, [{ code: 'invalid_type', expected: 'object' }])
  for (const empty of [undefined, null, {}, { a: null, b: null }])
    t.same(piece.parse(empty), { a: 1, b: { c: 'd' } })
})

t.test('refused() takes only what says nothing', async t => {
  const piece = schema.refused('nothing')

  for (const input of ['x', ['x'], { a: { b: 'x' } }, 0])
    t.equal(complaint(piece, input), 'nothing', JSON.stringify(input))
  for (const input of [undefined, null, '', [], {}, { a: { b: null, c: [''] } }])
    t.equal(complaint(piece, input), undefined)
})
