// Tables for terminals: columns aligned by spaces, nothing else. What comes from elsewhere, such as the words of an
// upstream, may hold control characters; none of them reaches the terminal.

export interface Column {
  readonly title: string
  /** Whether it is aligned at its right end, as numbers are. */
  readonly isNumber?: boolean
}

/** A heading and a line for each row, each line ended. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  return formatLines(
    [columns.map(({ title }) => title), ...rows],
    columns.map(({ isNumber = false }) => isNumber),
  )
}

/** `name  value` lines, for what has no rows. */
export function formatPairs(pairs: readonly (readonly [name: string, value: string])[]): string {
  return formatLines(pairs, [])
}

function formatLines(rows: readonly (readonly string[])[], areNumbers: readonly boolean[]): string {
  const cells = rows.map(row => row.map(printable))
  const widths: number[] = []
  for (const row of cells) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  }
  const align = (cell: string, at: number) =>
    areNumbers[at] === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)
  return cells.map(row => `${row.map(align).join('  ').trimEnd()}\n`).join('')
}

/** On one line, and harmless for a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}
