// Which word somebody meant.

/** The word that takes the fewest typing mistakes to become `written`; undefined where each takes more than `most`. */
export function nearest(
  written: string,
  words: readonly string[],
  most = Math.max(2, written.length / 2),
): string | undefined {
  const distances = words.map(word => ({ word, mistakes: mistakesBetween(written.toLowerCase(), word) }))
  const [best] = distances.sort((a, b) => a.mistakes - b.mistakes)
  return best !== undefined && best.mistakes <= most ? best.word : undefined
}

/** Letters to add, drop, replace or swap with their neighbour: the optimal string alignment distance, row by row. */
function mistakesBetween(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = cost(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwapped ? cost(beforeLast, j - 2) + 1 : Infinity
      row.push(Math.min(cost(last, j) + 1, cost(row, j - 1) + 1, replaced, swapped))
    }
    beforeLast = last
    last = row
  }
  return cost(last, b.length)
}

function cost(row: readonly number[], index: number): number {
  return row[index] ?? Infinity
}
