// Faults as rows, behaviours.ts as columns, a test for each cell: what happens has to be what the row says. The table
// in docs/mirror.md is made of the results by report.mjs; the last test of every file fails when it is out of date.
import fs from 'node:fs'
import t from 'tap'
import { startMemoryServer } from '../support/server.ts'
import { behaviours } from './behaviours.ts'
import { pushImages, type Fault } from './scene.ts'

export interface Row {
  readonly fault: Fault
  /** What is expected of each behaviour, in their order. */
  readonly cells: readonly string[]
}

/** `cells` as in the document, with `|` between them; `–` where there is nothing to see. */
export function row(name: string, fault: Omit<Fault, 'name'>, cells: string): Row {
  return { fault: { name, ...fault }, cells: cells.split('|').map(cell => cell.trim()) }
}

/** Defines the tests of one file. */
export function checkFaults(rows: readonly Row[]): void {
  const columns = Object.entries(behaviours)
  const registry = startMemoryServer(t).then(async ({ url }) => ({ url, images: await pushImages(url) }))
  t.jobs = 4
  for (const { fault, cells } of rows) {
    t.test(fault.name, { buffered: true }, async t => {
      for (const [index, [column, behave]] of columns.entries()) {
        const expected = cells[index] ?? 'a cell'
        if (expected === '–') continue
        await t.test(`${column}: ${expected}`, async t => {
          t.equal(await behave(t, await registry, fault), expected)
        })
      }
    })
  }
  t.test('docs/mirror.md lists what is here (make docs)', async t => {
    const document = fs.readFileSync(new URL('../../docs/mirror.md', import.meta.url), 'utf8')
    const [, table = ''] = /<!-- matrix -->(.*)<!-- \/matrix -->/s.exec(document) ?? []
    const [head, , ...lines] = table.trim().split('\n').map(cellsOf)
    const names = rows.map(({ fault }) => fault.name)

    t.same(head, ['fault', ...columns.map(([column]) => column)])
    t.same(
      lines.filter(([name]) => names.includes(name ?? '')),
      rows.map(({ fault, cells }) => [fault.name, ...cells]),
    )
  })
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map(cell => cell.trim())
}
