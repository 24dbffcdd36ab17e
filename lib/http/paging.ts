// The parameters n and last of the lists, and the Link to their next page.
// Source: distribution-spec "Listing tags", and distribution for the error's detail.
import { RegistryError } from '../oci/errors.ts'
import type { Page, PageOf } from '../registry/page.ts'
import { queryValue, type Context } from './context.ts'

/** Reads `n` and `last`; `limit` stays undefined without n. Throws PAGINATION_NUMBER_INVALID. */
export function parsePage(ctx: Context): Page {
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

/** Sets Link if a further page may follow: relative to the origin, with n and last alone. */
export function setNextPage(ctx: Context, page: PageOf<string>): void {
  const last = page.items.at(-1)
  if (!page.more || last === undefined) return
  const query = new URLSearchParams({ last, n: String(page.items.length) })
  ctx.set('Link', `<${ctx.path}?${query.toString()}>; rel="next"`)
}
