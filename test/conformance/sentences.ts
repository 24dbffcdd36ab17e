// How a sentence of the OCI distribution specification becomes a test. The specification is what opencontainers
// publishes as distribution-spec; its sentences are paraphrased, and the endpoint numbers are those of its table.
//
// A sentence without an edition stands in 1.0 and later; `(1.1)` is new or stricter there, `(next)` comes after 1.1.1.
// `suite` is no sentence but a sequence of requests that the official conformance suite makes.
//
// Each is checked over every driver, in repositories of its own. docs/conformance.md lists them, made by report.mjs;
// the last test of every file fails when that list is out of date.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Repository } from './repository.ts'
import { drivers, startRegistry, type DriverName } from './start-registry.ts'

type Letter = '' | 'a' | 'b' | 'c'
type Place = `end-${number}${Letter}` | 'errors' | 'warnings'
type Level = 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT'
/** Where a sentence stands and how much it asks. */
export type Source = `${Place} ${Level}${'' | ' (1.1)' | ' (next)'}` | `suite ${string}`

/** What a check works with. */
export interface Given {
  readonly driver: DriverName
  readonly url: string
  /** A repository that nothing was pushed to yet, and no other check uses. */
  readonly repository: Repository
  /** Another one. */
  readonly other: Repository
}

export interface Sentence {
  readonly source: Source
  readonly gist: string
  readonly check: (t: Test, given: Given) => Promise<void>
  /** Why the registry does not do as the sentence asks: then the check is of what it does instead. */
  readonly departs?: string
}

export function sentence(
  source: Source,
  gist: string,
  check: Sentence['check'],
  options: Pick<Sentence, 'departs'> = {},
): Sentence {
  return { source, gist, check, ...options }
}

/** Defines the tests of one file, whose `import.meta.url` is the first argument. */
export function checkSentences(fileUrl: string, sentences: readonly Sentence[]): void {
  for (const driver of drivers) {
    t.test(driver, async t => {
      const { url } = await startRegistry(t, { driver })
      for (const [index, { source, gist, check, departs }] of sentences.entries()) {
        const at = (part: string) => new Repository(url, `conformance/${part}${index}`)
        const name = `${source}: ${gist}${departs === undefined ? '' : ` [departs: ${departs}]`}`
        await t.test(name, t => check(t, { driver, url, repository: at('sentence'), other: at('other') }))
      }
    })
  }
  t.test('docs/conformance.md lists what is here (make docs)', async t => {
    const file = path.relative(root, fileURLToPath(fileUrl))
    const document = fs.readFileSync(path.join(root, 'docs/conformance.md'), 'utf8')
    t.same(
      rowsOf(document, file),
      sentences.map(({ source, gist }) => `${source}: ${gist}`),
    )
    const folder = fs.readdirSync(path.dirname(fileURLToPath(fileUrl)))
    t.same(
      [...document.matchAll(/^`(test\/conformance\/.*)`$/gm)].map(([, name]) => name).toSorted(),
      folder.filter(name => name.endsWith('.test.ts')).map(name => `test/conformance/${name}`),
    )
  })
}

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The first two columns of the table below a file's name. */
function rowsOf(document: string, file: string): string[] {
  const [, section = ''] = document.split(`\n\`${file}\`\n`)
  const [table = ''] = section.split('\n#', 1)
  return table
    .split('\n')
    .filter(line => line.startsWith('|'))
    .slice(2)
    .map(line => line.split('|').map(cell => cell.trim()))
    .map(([, source = '', gist = '']) => `${source}: ${gist}`)
}
