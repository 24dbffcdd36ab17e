// Tags of a mirrored repository: those that are here, under either of its names.
import { RegistryError } from '../oci/errors.ts'
import type { TagService } from '../registry/registry.ts'
import type { PullThroughContext } from './pull-through.ts'

export function pullThroughTags({ hosted, mirrored }: PullThroughContext): TagService {
  return {
    async list(page, options) {
      try {
        return await hosted.tags.list(page, options)
      } catch (err) {
        if (mirrored === hosted || !(err instanceof RegistryError && err.code === 'NAME_UNKNOWN')) throw err
        return mirrored.tags.list(page, options)
      }
    },
    ...(hosted.tags.remove && { remove: hosted.tags.remove }),
  }
}
