// The parameters n and last of the lists, and the Link to their next page.
// Source: distribution-spec "Listing tags", and distribution for the error's detail.
import { RegistryError } from '../oci/errors.ts'
import type { Page, PageOf } from '../registry/page.ts'
import { queryValue, type Context } from './context.ts'

/** Reads `n` and `last`; `limit` stays undefined without n; two of them are no number. Throws PAGINATION_NUMBER_INVALID. */
export function parsePage(ctx: Context): Page {
  if (Array.isArray(ctx.query['n'])) throw invalidPageSize(ctx.query['n'].join().slice(0, 80))
  const n = queryValue(ctx, 'n')
  const after = queryValue(ctx, 'last')
  if (n !== undefined && !/^\+?\d{1,15}$/.test(n))
    throw invalidPageSize(/^-\d{1,15}$/.test(n) ? Number(n) : n.slice(0, 80))
  return { limit: n === undefined ? undefined : Number(n), after }
}

export function invalidPageSize(n: number | string): RegistryError {
  return new RegistryError('PAGINATION_NUMBER_INVALID', `Cannot list a page of "${n}" entries`, {
    detail: { n },
  })
}

/** Sets Link if a further page may follow: relative to the origin, with last, n and what `query` says. */
export function setNextPage(
  ctx: Context,
  page: PageOf<string>,
  query: Readonly<Record<string, string>> = {},
): void {
  const last = page.items.at(-1)
  if (!page.more || last === undefined) return
  const next = new URLSearchParams({ last, n: String(page.items.length), ...query })
  ctx.set('Link', `<${ctx.path}?${next.toString()}>; rel="next"`)
}
