// Long lists, gone through without keeping others waiting: a store in memory answers at once, so that nobody else would
// get a turn until all is done.
import { inParallel } from '../in-parallel.ts'

const batchSize = 256

/** Like inParallel(), but others get their turn now and then. */
export async function inTurns<T, R>(
  concurrency: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += batchSize) {
    if (at > 0) await turn()
    for (const one of await inParallel(concurrency, items.slice(at, at + batchSize), work)) results.push(one)
  }
  return results
}

/** The same items, with a turn for others now and then. */
export async function* withTurns<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  let seen = 0
  for await (const item of items) {
    if (++seen % batchSize === 0) await turn()
    yield item
  }
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
