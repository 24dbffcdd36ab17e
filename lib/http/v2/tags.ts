// /v2/<name>/tags/list: distribution-spec end-8.
import type { Registry } from '../../registry/registry.ts'
import { tagsDescription } from '../api/tags.ts'
import { answerJson, type Context } from '../context.ts'
import { access, type Params, type RepositoryEndpoint } from '../endpoint.ts'
import { parsePage, setNextPage } from '../paging.ts'
import { setProvenance } from '../provenance.ts'

export interface TagDeps {
  readonly registry: Registry
  /** A larger n is cut to this; without n all tags are listed. */
  readonly maxTags: number
}

export function tagEndpoints({ registry, maxTags }: TagDeps): readonly RepositoryEndpoint[] {
  async function list(ctx: Context, { name, asked }: Params): Promise<void> {
    const { limit, after } = parsePage(ctx)
    const page = { limit: limit === undefined ? undefined : Math.min(limit, maxTags), after }
    const tags = await registry.repository(name).tags.list(page, { signal: ctx.state.signal })
    setProvenance(ctx, tags)
    setNextPage(ctx, tags)
    answerJson(ctx, { name: asked, tags: tags.items })
  }

  return [
    {
      name: 'tags',
      method: 'GET',
      path: '/v2/*name/tags/list',
      describe: tagsDescription,
      access: access.pull,
      handle: list,
    },
  ]
}
