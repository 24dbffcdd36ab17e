import t from 'tap'
import { substitute } from '../../lib/config/substitution.ts'

const env = { BUCKET: 'images', EMPTY: '', S3_HOST: 'h', MARKS: '${BUCKET}$$' }

t.test('substitute() puts variables into values, wherever they are', async t => {
  const tree = { s3: { bucket: '${BUCKET}', list: ['a', '${S3_HOST}:${PORT:-9000}/'] }, '${BUCKET}': null }

  t.same(substitute(tree, env), {
    tree: { s3: { bucket: 'images', list: ['a', 'h:9000/'] }, '${BUCKET}': null },
    problems: [],
  })
})

t.test('substitute() knows defaults, empty variables and the escape', async t => {
  const cases: Readonly<Record<string, string>> = {
    '${EMPTY}': '',
    '${EMPTY:-x}': 'x',
    '${BUCKET:-x}': 'images',
    '${NONE:-}': '',
    '${NONE:-a b:c}': 'a b:c',
    '$${BUCKET}': '${BUCKET}',
    '$${BUCKET:-x}': '${BUCKET:-x}',
    '${MARKS}': '${BUCKET}$$', // what comes from a variable is not looked at again
  }
  for (const [given, expected] of Object.entries(cases))
    t.same(substitute(given, env), { tree: expected, problems: [] }, given)
})

t.test('substitute() leaves every other dollar alone', async t => {
  for (const text of [
    '$BUCKET',
    '$$',
    'pa$$word',
    '${}',
    '${1}',
    '${BUCKET',
    '$ {BUCKET}',
    '${A-b}',
    '^v[0-9]+$',
    '$1{2}',
  ])
    t.same(substitute(text, env), { tree: text, problems: [] }, text)
})

t.test('substitute() lists each variable that is not set, with its place', async t => {
  const { problems } = substitute({ a: ['${NONE}'], b: { c: 'x${NEITHER}' } }, env)

  t.match(problems, [
    { path: ['a', 0], found: '${NONE}', expected: /NONE to be set/ },
    { path: ['b', 'c'], found: '${NEITHER}' },
  ])
})
