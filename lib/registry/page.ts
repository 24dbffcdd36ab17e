// Pages of a sorted list. Source: distribution-spec "Listing tags": parameters n and last.

/** `limit` undefined means everything; `after` need not exist itself. */
export interface Page {
  readonly limit?: number | undefined
  readonly after?: string | undefined
}

/** `items` in byte order; `more` tells whether a further page may follow. */
export interface PageOf<T> {
  readonly items: readonly T[]
  readonly more: boolean
}

/** Cuts a page out of a sorted list. `more` is true whenever the page is exactly full, as distribution has it. */
export function pageOf<T extends string>(sorted: readonly T[], page: Page): PageOf<T> {
  const { limit, after } = page
  const rest = after === undefined ? sorted : sorted.filter(item => item > after)
  if (limit === undefined) return { items: rest, more: false }
  const items = rest.slice(0, limit)
  return { items, more: limit > 0 && items.length === limit }
}
