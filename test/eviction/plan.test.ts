// Who goes first: by hand for the cases that matter, and by properties for all others.
import fc from 'fast-check'
import t from 'tap'
import { planEviction } from '../../lib/eviction/plan.ts'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import type { MirroredEntry } from '../../lib/storage/mirrored-content.ts'

/** Content by a name that says what it is. */
interface Given {
  readonly used: number
  readonly refs?: readonly string[]
  readonly isKept?: boolean
  readonly marked?: number
}

const digestFor = (name: string): Digest => digestOf(Buffer.from(name))

function entryFor(name: string, { refs, marked = 0 }: Given): MirroredEntry {
  return {
    digest: digestFor(name),
    kind: refs === undefined ? 'blob' : 'manifest',
    size: 10,
    repositories: [],
    refs: (refs ?? []).map(digestFor),
    markedAtMs: marked,
  }
}

function plan(given: Readonly<Record<string, Given>>) {
  const names = new Map(Object.keys(given).map(name => [digestFor(name), name]))
  const of = (digest: Digest) => given[names.get(digest) ?? '']
  const planned = planEviction({
    entries: Object.entries(given).map(([name, one]) => entryFor(name, one)),
    lastUse: digest => of(digest)?.used || undefined,
    isKept: digest => of(digest)?.isKept ?? false,
  })
  const victims = [...planned.victims]
  const nameOf = (digest: Digest) => names.get(digest) ?? ''
  return {
    ...planned,
    order: victims.map(({ entry }) => nameOf(entry.digest)),
    times: Object.fromEntries(victims.map(({ entry, usedAtMs }) => [nameOf(entry.digest), usedAtMs])),
    ancestorsOf: (name: string) => planned.ancestorsOf(digestFor(name)).map(nameOf),
  }
}

const cases: readonly {
  readonly name: string
  readonly given: Readonly<Record<string, Given>>
  readonly order: readonly string[]
}[] = [
  { name: 'nothing of nothing', given: {}, order: [] },
  {
    name: 'nothing that is kept',
    given: { a: { used: 1, isKept: true }, b: { used: 2 }, c: { used: 3, isKept: true } },
    order: ['b'],
  },
  {
    name: 'the least recently used first; what was never used counts from its marker',
    given: { a: { used: 30 }, b: { used: 0, marked: 20 }, c: { used: 10, marked: 99 } },
    order: ['c', 'b', 'a'],
  },
  {
    name: 'of an image blobs first, then the manifest, then the index',
    given: {
      index: { used: 50, refs: ['manifest'] },
      manifest: { used: 51, refs: ['config', 'layer'] },
      layer: { used: 53 },
      config: { used: 52 },
    },
    order: ['config', 'layer', 'manifest', 'index'],
  },
  {
    name: 'an image whole before the next one',
    given: {
      old: { used: 10, refs: ['oldLayer'] },
      oldLayer: { used: 11 },
      young: { used: 20, refs: ['youngLayer'] },
      youngLayer: { used: 1 },
    },
    order: ['oldLayer', 'old', 'youngLayer', 'young'],
  },
  {
    name: 'a use of an index counts for its manifests and their layers',
    given: {
      index: { used: 90, refs: ['amd64', 'arm64'] },
      amd64: { used: 80, refs: ['amd64Layer'] },
      amd64Layer: { used: 80 },
      arm64: { used: 5, refs: ['arm64Layer'] },
      arm64Layer: { used: 5 },
      other: { used: 50, refs: [] },
    },
    order: ['other', 'arm64Layer', 'amd64Layer', 'arm64', 'amd64', 'index'],
  },
  {
    name: 'a use of a child refreshes its index',
    given: {
      index: { used: 1, refs: ['child'] },
      child: { used: 60, refs: [] },
      other: { used: 30, refs: [] },
    },
    order: ['other', 'child', 'index'],
  },
  {
    name: 'a shared layer with the image that was used later, and it does not keep the other one',
    given: {
      old: { used: 10, refs: ['base', 'own'] },
      own: { used: 10 },
      young: { used: 70, refs: ['base'] },
      base: { used: 75 },
      between: { used: 40 },
    },
    order: ['own', 'old', 'between', 'base', 'young'],
  },
  {
    name: 'what is left of an image of which some is kept',
    given: {
      index: { used: 1, refs: ['manifest'], isKept: true },
      manifest: { used: 1, refs: ['layer', 'absent'] },
      layer: { used: 1 },
    },
    order: ['layer', 'manifest'],
  },
]

for (const { name, given, order } of cases) {
  void t.test(`planEviction() takes ${name}`, async t => {
    t.same(plan(given).order, order)
  })
}

t.test('planEviction() tells what leads to content, and how much could be freed', async t => {
  const planned = plan({
    outer: { used: 1, refs: ['inner'] },
    inner: { used: 1, refs: ['manifest'] },
    manifest: { used: 1, refs: ['layer'] },
    layer: { used: 1, isKept: true },
  })

  t.same(planned.ancestorsOf('layer'), ['manifest', 'inner', 'outer'])
  t.same(planned.ancestorsOf('unknown'), [])
  t.equal(planned.freeableBytes, 30)
})

t.test('planEviction() passes over markers that lead to themselves', async t => {
  const { order } = plan({ a: { used: 1, refs: ['b'] }, b: { used: 1, refs: ['a'] }, c: { used: 2 } })

  t.same(order, ['c'])
})

/** Content in which each piece refers only to later ones, so that there is no circle. */
const anyContent = fc
  .array(
    fc.record({
      used: fc.integer({ min: 0, max: 20 }),
      marked: fc.integer({ min: 1, max: 20 }),
      isKept: fc.boolean(),
      refs: fc.option(fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }), { nil: undefined }),
    }),
    { maxLength: 14 },
  )
  .map(pieces =>
    Object.fromEntries(
      pieces.map(({ refs, ...piece }, at): [string, Given] => [
        String(at),
        { ...piece, ...(refs && { refs: refs.map(distance => String(at + distance)) }) },
      ]),
    ),
  )

t.test('planEviction() takes all that is not kept, once, and nothing else', async t => {
  fc.assert(
    fc.property(anyContent, given => {
      const wanted = Object.keys(given).filter(name => given[name]?.isKept !== true)

      return JSON.stringify(plan(given).order.toSorted()) === JSON.stringify(wanted.toSorted())
    }),
  )
  t.pass()
})

t.test('planEviction() takes a part before its youngest parent, and not before an older one', async t => {
  const allGo = anyContent.map(given =>
    Object.fromEntries(Object.entries(given).map(([name, piece]) => [name, { ...piece, isKept: false }])),
  )
  fc.assert(
    fc.property(allGo, given => {
      const { order, times } = plan(given)
      return order.every((name, at) => {
        const parents = order.filter(parent => given[parent]?.refs?.includes(name))
        if (parents.length === 0) return true
        const youngest = Math.max(...parents.map(parent => times[parent] ?? 0))
        return (
          times[name] === youngest &&
          parents.some(parent => times[parent] === youngest && order.indexOf(parent) > at)
        )
      })
    }),
  )
  t.pass()
})

t.test('planEviction() goes by age, and nothing is younger than the last use of anything', async t => {
  fc.assert(
    fc.property(anyContent, given => {
      const { order, times } = plan(given)
      const latest = Math.max(0, ...Object.values(given).map(({ used, marked = 0 }) => used || marked))
      return order.every((name, at) => {
        const time = times[name] ?? 0
        const own = given[name]?.used || given[name]?.marked || 0
        return time >= own && time <= latest && time >= (times[order[at - 1] ?? ''] ?? 0)
      })
    }),
  )
  t.pass()
})
