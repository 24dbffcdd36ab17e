import t from 'tap'
import { parseYaml } from '../../lib/config/yaml.ts'

t.test('parseYaml() says where a text stops being YAML', async t => {
  const cases = {
    'a: [': /^line \d+, column \d+: found what is not YAML \(.+\), expected one YAML document$/,
    'a: 1\n\tb: 2': /^line 2, column 1: /,
    'a: *nobody': /unidentified alias/,
    'a: 1\n---\nb: 2': /single document/,
  }
  for (const [text, message] of Object.entries(cases)) {
    t.throws(() => parseYaml(text), { name: 'ConfigError', message }, text)
  }
})

t.test('parseYaml() lets the last of two equal keys count, and warns', async t => {
  const { value, warnings } = parseYaml('s3:\n  secure: no\n  bucket: b\n  secure: yes\n')

  t.same(value, { s3: { secure: 'yes', bucket: 'b' } })
  t.same(warnings, ['line 4, column 3: a key occurs twice; the last one counts'])
})

t.test('parseYaml() says where a text with equal keys stops being YAML', async t => {
  t.throws(() => parseYaml('a: 1\na: 2\nb: ['), { name: 'ConfigError', message: /not YAML/ })
})

t.test('parseYaml() keeps each scalar as it was written', async t => {
  const { value, warnings } = parseYaml(
    '{a: 0.1, b: "0.1", c: 0123, d: yes, e: 2026-11-24, f: 1e3, g: "", 5: [1, true]}',
  )

  t.same(value, {
    a: '0.1',
    b: '0.1',
    c: '0123',
    d: 'yes',
    e: '2026-11-24',
    f: '1e3',
    g: '',
    5: ['1', 'true'],
  })
  t.same(warnings, [])
})

t.test('parseYaml() knows nothing in all its spellings', async t => {
  t.same(parseYaml('a:\nb: ~\nc: null\nd: "null"\n').value, { a: null, b: null, c: null, d: 'null' })
  t.equal(parseYaml('').value, null)
  t.equal(parseYaml('# nothing but a comment\n').value, null)
})

t.test('parseYaml() follows anchors and merge keys', async t => {
  const text = 'base: &base {timeout: 1s, threshold: 10}\nmine:\n  <<: *base\n  threshold: 3\nsame: *base\n'

  t.match(parseYaml(text).value, {
    mine: { timeout: '1s', threshold: '3' },
    same: { timeout: '1s', threshold: '10' },
  })
})
