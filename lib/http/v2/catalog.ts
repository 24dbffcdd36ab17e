// /v2/_catalog: distribution's list of repositories, which the OCI specification leaves out.
import { pageOf, type Page, type PageOf } from '../../registry/page.ts'
import type { Registry } from '../../registry/registry.ts'
import { catalogDescription } from '../api/catalog.ts'
import { answerJson, type Context } from '../context.ts'
import type { RegistryEndpoint } from '../endpoint.ts'
import { invalidPageSize, parsePage, setNextPage } from '../paging.ts'

export interface CatalogDeps {
  readonly registry: Registry
  /** A larger n is refused. */
  readonly maxEntries: number
}

const defaultEntries = 100

export function catalogEndpoints({ registry, maxEntries }: CatalogDeps): readonly RegistryEndpoint[] {
  /** A page is filled up with what this client may see: of the others not even the number shows. */
  async function visibleRepositories(ctx: Context, page: Page): Promise<PageOf<string>> {
    const { signal, grant } = ctx.state
    const mayPull = grant?.mayPull
    if (mayPull === undefined) return registry.repositories(page, { signal })
    const { items } = await registry.repositories({ after: page.after }, { signal })
    return pageOf(items.filter(mayPull), { limit: page.limit })
  }

  async function list(ctx: Context): Promise<void> {
    const { limit = Math.min(defaultEntries, maxEntries), after } = parsePage(ctx)
    if (limit > maxEntries) throw invalidPageSize(limit)
    const repositories = await visibleRepositories(ctx, { limit, after })
    setNextPage(ctx, repositories)
    answerJson(ctx, { repositories: repositories.items })
  }

  return [
    {
      name: 'catalog',
      method: 'GET',
      path: '/v2/_catalog',
      describe: catalogDescription,
      access: () => [{ type: 'registry', name: 'catalog', action: '*' }],
      handle: list,
    },
  ]
}
