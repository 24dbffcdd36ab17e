// What random clients do: pushes more often than anything else, so that there is something to move and to delete.
import fc from 'fast-check'
import type { Step } from './repository-model.ts'
import { blobs, manifests, tags } from './world.ts'

const anyBlob = fc.nat(blobs.length - 1)
const anyManifest = fc.nat(manifests.length - 1)
const anyTag = fc.nat(tags.length - 1)

/** A step; `sources` are the repositories that blobs are mounted from. */
export function anyStep(sources: readonly string[]): fc.Arbitrary<Step> {
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('push blob' as const),
        blob: anyBlob,
        way: fc.constantFrom('post' as const, 'put' as const, 'chunks' as const),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('mount blob' as const),
        blob: anyBlob,
        from: fc.constantFrom(...sources),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete blob' as const), blob: anyBlob }) },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('push manifest' as const),
        manifest: anyManifest,
        tag: fc.option(anyTag, { nil: undefined }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('delete manifest' as const), manifest: anyManifest }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete tag' as const), tag: anyTag }) },
  )
}

/** Steps that all turn around one tag and three manifests, where all that manifests need is there. */
export const anyHotStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('push manifest' as const),
      manifest: fc.nat(2),
      tag: fc.constant(0),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('delete manifest' as const), manifest: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete tag' as const), tag: fc.constant(0) }) },
)
