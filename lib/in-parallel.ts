// Work on many things, a few at a time.

/**
 * The results of `work`, in the order of `items`, with at most `limit` of them under way. If one fails, no further one
 * is begun, and the failure is thrown when none is under way any more.
 */
export async function inParallel<T, R>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  const waiting = items.entries()
  let hasFailed = false
  const worker = async () => {
    for (const [index, item] of waiting) {
      try {
        results[index] = await work(item)
      } catch (err) {
        hasFailed = true
        throw err
      }
      if (hasFailed) return
    }
  }
  const settled = await Promise.allSettled(Array.from({ length: Math.max(1, limit) }, worker))
  for (const outcome of settled) if (outcome.status === 'rejected') throw outcome.reason
  return results
}
