// Sorting for who needs the beginning only: of a great many, the few that go first.

/**
 * The items in order, each found when it is asked for: a heap, which costs as much as going through them once, and then
 * a little for each item taken. Keeps the array, and changes its order.
 */
export function* smallestFirst<T>(
  items: T[],
  compare: (a: T, b: T) => number,
): Generator<T, void, undefined> {
  for (let at = (items.length >> 1) - 1; at >= 0; at--) sink(items, at, compare)
  for (;;) {
    const [smallest] = items
    const last = items.pop()
    if (smallest === undefined || last === undefined) return
    if (items.length > 0) {
      items[0] = last
      sink(items, 0, compare)
    }
    yield smallest
  }
}

/** Moves an item down until neither of the two below it is smaller. */
function sink<T>(heap: T[], start: number, compare: (a: T, b: T) => number): void {
  const item = heap[start]
  if (item === undefined) return
  let at = start
  for (;;) {
    const left = 2 * at + 1
    const [a, b] = [heap[left], heap[left + 1]]
    if (a === undefined) break
    const isRight = b !== undefined && compare(b, a) < 0
    const child = isRight ? b : a
    if (compare(item, child) <= 0) break
    heap[at] = child
    at = isRight ? left + 1 : left
  }
  heap[at] = item
}
