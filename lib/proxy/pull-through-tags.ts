// Tags of a mirrored repository: its upstream's, and those that are here under either of its names. What the upstream
// cannot be asked for now is taken from what it said before.
import type { CallOptions } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Tag } from '../oci/reference.ts'
import { pageOf } from '../registry/page.ts'
import type { TagService } from '../registry/registry.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { PullThroughContext } from './pull-through.ts'
import { staleness } from './revalidation.ts'
import type { UpstreamList } from './upstream-lists.ts'

export function pullThroughTags(context: PullThroughContext): TagService {
  const { route, hosted, mirrored, tagLists } = context
  const { upstream, freshness } = route

  /** Undefined where there is no such repository here. */
  async function here(service: TagService, options?: CallOptions): Promise<readonly Tag[] | undefined> {
    try {
      return (await service.list({}, options)).items
    } catch (err) {
      if (err instanceof RegistryError && err.code === 'NAME_UNKNOWN') return undefined
      throw err
    }
  }

  /** With no tag here either, trouble is not taken for an answer. */
  async function there(hasOwn: boolean, options?: CallOptions): Promise<UpstreamList<Tag>> {
    const ask = () => upstream.tags(route.name)
    try {
      return await tagLists.get({ key: `tags ${route.stored}`, upstream, freshness, ask }, options)
    } catch (err) {
      if (!(err instanceof UpstreamError) || !hasOwn) throw err
      return { items: undefined, cache: 'STALE', stale: staleness(err) }
    }
  }

  return {
    async list(page, options) {
      const pushed = await here(hosted.tags, options)
      const copied = mirrored === hosted ? undefined : await here(mirrored.tags, options)
      const hasOwn = [...(pushed ?? []), ...(copied ?? [])].length > 0
      const { items, ...provenance } = await there(hasOwn, options)
      if (pushed === undefined && copied === undefined && items === undefined) {
        throw new RegistryError('NAME_UNKNOWN', `Cannot list tags of "${hosted.name}": it has none`, {
          detail: { name: hosted.name },
        })
      }
      const all = new Set([...(pushed ?? []), ...(copied ?? []), ...(items ?? [])])
      return { ...pageOf([...all].toSorted(), page), ...provenance }
    },
    ...(hosted.tags.remove && { remove: hosted.tags.remove }),
  }
}
