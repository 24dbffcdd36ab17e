// Writes the table of faults and behaviours in docs/mirror.md, between `<!-- matrix -->` and `<!-- /matrix -->`: runs
// every test beside this file and lists what they found. Whatever failed is printed, and makes it end with 1. `--print`
// writes nothing.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import prettier from 'prettier'

const root = fileURLToPath(new URL('../../', import.meta.url))
const document = `${root}docs/mirror.md`

/** The files in the order of their rows. */
const files = ['connections', 'answers', 'credentials', 'content'].map(stem => `test/faults/${stem}.test.ts`)
/** As behaviours.ts names them. */
const columns = [
  'tag here, in its time',
  'tag here, past its time',
  'blob here',
  'tag not here',
  'blob not here',
  'both with a second URL',
  'afterwards',
]

const legend = `“Here” is what the mirror holds: a blob, and a tag in its time (\`tagttl\`), cost no request at all. \`stale\` is the copy, with a
\`Warning\`. \`reset\` breaks the connection off before the last byte, so that no client takes what has come for the blob.
“Afterwards” is the first request for what is not here when the fault is over, and with it the pause that it has brought.
`

/** @returns {{ fault: string, column: string, word: string, failures: string[] }[]} */
function run() {
  const { stdout, stderr } = spawnSync(
    'node_modules/.bin/tap',
    ['run', '--disable-coverage', '--reporter=json', ...files],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 },
  )
  if (!stdout.startsWith('{')) throw new Error(`Cannot read the results: ${stderr || stdout}`)
  const { suites } = JSON.parse(stdout)
  return files.flatMap(file => (suites.find(({ name }) => name === file)?.suites ?? []).flatMap(cellsOf))
}

function cellsOf({ name: fault, suites = [] }) {
  return suites.map(({ name, ok, suites, cases }) => {
    const [column, word] = name.split(': ')
    return { fault, column, word: ok ? word : 'FAIL', failures: failuresOf({ suites, cases }) }
  })
}

function failuresOf({ suites = [], cases = [] }) {
  const here = cases
    .filter(({ ok }) => !ok)
    .map(({ name, diag }) => `${name} ${diag?.diff?.split('\n').slice(2).join(' ') ?? ''}`)
  return [...here, ...suites.flatMap(failuresOf)]
}

function render(results) {
  const rows = [...new Set(results.map(({ fault }) => fault))].map(fault => [
    fault,
    ...columns.map(column => results.find(one => one.fault === fault && one.column === column)?.word ?? '–'),
  ])
  const lines = [['fault', ...columns], columns.map(() => '---').concat('---'), ...rows]
  return `${lines.map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n\n${legend}`
}

const results = run()
const failed = results.filter(({ word }) => word === 'FAIL')
for (const { fault, column, failures } of failed) {
  console.error([`FAIL ${fault}, ${column}`, ...failures.slice(0, 5)].join('\n    '))
}
console.error(`${results.length - failed.length} of ${results.length} passed`)
if (!process.argv.includes('--print') && results.length > 0) {
  const options = await prettier.resolveConfig(document)
  const text = fs.readFileSync(document, 'utf8')
  const between = /(<!-- matrix -->\n).*(<!-- \/matrix -->)/s
  if (!between.test(text)) throw new Error('Cannot find the place of the table in docs/mirror.md')
  // A function, since `$` in a text would mean something.
  const filled = text.replace(between, (_, before, after) => `${before}\n${render(results)}\n${after}`)
  fs.writeFileSync(document, await prettier.format(filled, { ...options, parser: 'markdown' }))
}
process.exitCode = failed.length === 0 && results.length > 0 ? 0 : 1
