// Writes docs/conformance.md: runs every test beside this file and lists each sentence with its result over each
// driver. Whatever failed is printed, and makes it end with 1. `--print` writes nothing.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import prettier from 'prettier'

const root = fileURLToPath(new URL('../../', import.meta.url))
const document = `${root}docs/conformance.md`
const drivers = ['inmemory', 'filesystem']

/** The files in the order in which they are read, with a title each. */
const titles = {
  pull: 'Pull',
  'push-blobs': 'Push: blobs',
  'push-manifests': 'Push: manifests',
  tags: 'Content discovery: tags',
  referrers: 'Content discovery: referrers',
  management: 'Content management',
  errors: 'Errors and warnings',
  'suite-workflows': 'The official suite: its four workflows (1.0 and 1.1)',
  'suite-blobs': 'The official suite: ways to push and pull blobs',
  'suite-data': 'The official suite: kinds of manifests',
}

const intro = `# Conformance

This file is made by \`make docs\`: do not edit it.

It lists the sentences of the [OCI distribution specification](https://github.com/opencontainers/distribution-spec) that
ask something of a registry, paraphrased, with the test that holds Entrepôt to each and its result over each storage
driver. The tests talk HTTP to a whole server on loopback.

- \`end-N\` is the number in the specification's table of endpoints.
- A sentence without an edition is in 1.0 and later; \`(1.1)\` is new or stricter in 1.1; \`(next)\` is in what follows 1.1.1.
- \`suite\` is no sentence, but a sequence of requests of the official conformance suite, in its older form (workflows) and
  its newer one (blobs, kinds of manifests).
- A sentence that we depart from has its reason below its table, and its test is of what is done instead.

Not listed are sentences that ask something of clients alone, and those about what Entrepôt does not do,
delegating uploads to other servers. Scoping requests by \`ns\` is part of [the mirror](mirror.md).
`

/** @returns {{ file: string, driver: string, name: string, ok: boolean, failures: string[] }[]} */
function run() {
  const files = fs.readdirSync(`${root}test/conformance`).filter(name => name.endsWith('.test.ts'))
  const { stdout, stderr } = spawnSync(
    'node_modules/.bin/tap',
    ['run', '--disable-coverage', '--reporter=json', ...files.map(name => `test/conformance/${name}`)],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 },
  )
  if (!stdout.startsWith('{')) throw new Error(`Cannot read the results: ${stderr || stdout}`)
  return JSON.parse(stdout).suites.flatMap(file => {
    const lost = drivers.filter(driver => !file.suites?.some(({ name }) => name === driver))
    if (lost.length > 0) console.error(`${file.name}: nothing over ${lost.join(' and ')}`)
    return (file.suites ?? [])
      .filter(({ name }) => drivers.includes(name))
      .flatMap(driver =>
        (driver.suites ?? []).map(({ name, ok, suites, cases }) => ({
          file: file.name,
          driver: driver.name,
          name,
          ok,
          failures: failuresOf({ suites, cases }),
        })),
      )
  })
}

function failuresOf({ suites = [], cases = [] }) {
  const here = cases
    .filter(({ ok }) => !ok)
    .map(({ name, diag }) => `${name} ${diag?.diff?.split('\n').slice(2).join(' ') ?? ''}`)
  return [...here, ...suites.flatMap(failuresOf)]
}

function render(results) {
  const counts = drivers.map(driver => {
    const own = results.filter(result => result.driver === driver)
    return `${own.filter(({ ok }) => ok).length} of ${own.length} over \`${driver}\``
  })
  const files = [...new Set(results.map(({ file }) => file))]
  const parts = Object.entries(titles)
    .map(([stem, title]) => ({ title, file: `test/conformance/${stem}.test.ts` }))
    .filter(({ file }) => files.includes(file))
    .map(({ title, file }) =>
      section(
        title,
        file,
        results.filter(result => result.file === file),
      ),
    )
  return [intro, `Result: ${counts.join(', ')}.\n`, ...parts].join('\n')
}

function section(title, file, results) {
  const departures = []
  const names = [...new Set(results.map(({ name }) => name))]
  const rows = names.map(name => {
    const [, source, gist, departs] = /^(.+?): (.+?)(?: \[departs: (.+)\])?$/s.exec(name)
    if (departs !== undefined) departures.push(`- ${source}, “${gist}”: ${departs}.`)
    const cells = drivers.map(driver => {
      const result = results.find(one => one.name === name && one.driver === driver)
      if (result === undefined || !result.ok) return 'FAIL'
      return departs === undefined ? 'pass' : 'departs'
    })
    return `| ${[source, gist, ...cells].join(' | ')} |`
  })
  const head = ['Where', 'Sentence', ...drivers]
  const table = [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows]
  const notes = departures.length === 0 ? [] : ['', 'Departures:', '', ...departures]
  return ['', `## ${title}`, '', `\`${file}\``, '', ...table, ...notes, ''].join('\n')
}

const results = run()
const failed = results.filter(({ ok }) => !ok)
for (const { driver, file, name, failures } of failed) {
  console.error([`FAIL ${file} (${driver}) ${name}`, ...failures.slice(0, 5)].join('\n    '))
}
console.error(`${results.length - failed.length} of ${results.length} passed`)
if (!process.argv.includes('--print')) {
  const options = await prettier.resolveConfig(document)
  fs.writeFileSync(document, await prettier.format(render(results), { ...options, parser: 'markdown' }))
}
process.exitCode = failed.length === 0 && results.length > 0 ? 0 : 1
