// Tags against a model, and what broken or half-written ones do.
import fc from 'fast-check'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseTag, type Tag } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { CorruptLinkError } from '../../lib/storage/links.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createTagStore } from '../../lib/storage/tag-store.ts'
import { filesIn, hooked, onEachDriver, openTestDriver } from '../support/stores.ts'

const name = parseRepositoryName('team/app')
const latest = parseTag('latest')
const digests = Array.from({ length: 4 }, (_, i) => digestOf(Buffer.from([i])))
const [a = digestOf(Buffer.alloc(0)), b = a] = digests

onEachDriver(t, 'TagStore knows no tag of a repository that never had one', async (t, driver) => {
  const tags = createTagStore({ driver, concurrency: 4 })

  t.equal(await tags.resolve(name, latest), undefined)
  t.equal(await tags.list(name), undefined)
  t.equal(await tags.remove(name, latest), false)
  t.same(await tags.pointingTo(name, a), [])
})

onEachDriver(
  t,
  'TagStore.resolve() refuses a broken link; remove() and set() get rid of it',
  async (t, driver) => {
    const tags = createTagStore({ driver, concurrency: 4 })
    await driver.writeAll(layout.tagCurrent(name, latest), Buffer.from('rubbish'))

    await t.rejects(tags.resolve(name, latest), CorruptLinkError)
    t.equal(await tags.remove(name, latest), true)
    t.same(await tags.list(name), [])

    await driver.writeAll(layout.tagCurrent(name, latest), Buffer.from(''))
    await tags.set(name, latest, a)
    t.equal(await tags.resolve(name, latest), a)
  },
)

onEachDriver(t, 'TagStore.list() leaves out what is no tag', async (t, driver) => {
  const tags = createTagStore({ driver, concurrency: 4 })
  await tags.set(name, latest, a)
  await driver.writeAll(layout.tag(name, '.hidden' as Tag), Buffer.from('x'))
  await driver.writeAll(layout.tag(name, '-dash' as Tag), Buffer.from('x'))

  t.same(await tags.list(name), ['latest'])
})

onEachDriver(t, 'TagStore.list() is in byte order and survives the last removal', async (t, driver) => {
  const tags = createTagStore({ driver, concurrency: 4 })
  const unsorted = ['b', 'a.1', 'a-1', 'B', 'a', '_', 'a1', '10', '9'].map(parseTag)
  for (const tag of unsorted) await tags.set(name, tag, a)

  t.same(await tags.list(name), ['10', '9', 'B', '_', 'a', 'a-1', 'a.1', 'a1', 'b'])

  for (const tag of unsorted) t.equal(await tags.remove(name, tag), true)
  t.same(await tags.list(name), [])
})

onEachDriver(t, 'TagStore.set() writes the entry before the tag means it', async (t, driver) => {
  const writes: string[] = []
  const watched = hooked(
    driver,
    ({ action, path, when }) => void (action === 'writeAll' && when === 'after' && writes.push(path)),
  )
  const tags = createTagStore({ driver: watched, concurrency: 4 })

  await tags.set(name, latest, a)
  await tags.set(name, latest, b)

  t.same(writes, [
    layout.tagEntry(name, latest, a),
    layout.tagCurrent(name, latest),
    layout.tagEntry(name, latest, b),
    layout.tagCurrent(name, latest),
  ])
  t.same((await filesIn(driver)).length, 3, 'every digest that it meant has its entry')
})

onEachDriver(t, 'TagStore.pointingTo() finds what means a digest now, not what has', async (t, driver) => {
  const tags = createTagStore({ driver, concurrency: 3 })
  for (let i = 0; i < 20; i++) await tags.set(name, parseTag(`v${i}`), i % 2 === 0 ? a : b)
  await tags.set(name, parseTag('v0'), b)

  const found = await tags.pointingTo(name, a)

  t.equal(found.length, 9)
  t.notOk(found.includes(parseTag('v0')))
  t.same(found, found.toSorted())
})

onEachDriver(
  t,
  'TagStore.remove() of a tag that means something else by now leaves it',
  async (t, driver) => {
    const tags = createTagStore({ driver, concurrency: 4 })
    await tags.set(name, latest, b)

    t.equal(await tags.remove(name, latest, { meaning: a }), false)
    t.equal(await tags.resolve(name, latest), b)
    t.equal(await tags.remove(name, latest, { meaning: b }), true)
    t.equal(await tags.resolve(name, latest), undefined)
  },
)

onEachDriver(t, 'TagStore.remove() and set() of one tag do not meet half-way', async (t, driver) => {
  const tags = createTagStore({ driver, concurrency: 4 })
  for (let round = 0; round < 20; round++) {
    await tags.set(name, latest, a)
    await Promise.all([tags.remove(name, latest), tags.set(name, latest, b)])
  }

  t.equal(await tags.resolve(name, latest), b)
  t.same(
    (await filesIn(driver)).map(path => path.replace(/^.*\/tags/, '')),
    [layout.tagCurrent(name, latest), layout.tagEntry(name, latest, b)].map(path =>
      path.replace(/^.*\/tags/, ''),
    ),
  )
})

t.test('TagStore.pointingTo() reads no more tags at once than it may', async t => {
  const driver = await openTestDriver(t, 'filesystem')
  let reading = 0
  let most = 0
  const watched = hooked(driver, ({ action, when }) => {
    if (action !== 'readAll') return
    reading += when === 'before' ? 1 : -1
    most = Math.max(most, reading)
  })
  const tags = createTagStore({ driver: watched, concurrency: 3 })
  for (let i = 0; i < 20; i++) await tags.set(name, parseTag(`v${i}`), a)

  t.equal((await tags.pointingTo(name, a)).length, 20)

  t.equal(most, 3)
})

type Step =
  | { readonly kind: 'set'; readonly tag: string; readonly digest: number }
  | { readonly kind: 'remove' | 'resolve'; readonly tag: string }
  | { readonly kind: 'list' }
  | { readonly kind: 'pointingTo'; readonly digest: number }

const anyTag = fc.constantFrom('a', 'A', 'latest', '1.0', '1.0-rc', '1.0.1', '_', 'x'.repeat(128))
const anyDigest = fc.nat({ max: digests.length - 1 })
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set' as const), tag: anyTag, digest: anyDigest }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('remove' as const, 'resolve' as const), tag: anyTag }),
  },
  fc.record({ kind: fc.constant('list' as const) }),
  fc.record({ kind: fc.constant('pointingTo' as const), digest: anyDigest }),
)

onEachDriver(t, 'TagStore behaves like a Map, whatever is done to it', async (t, driver) => {
  let run = 0
  const property = fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async steps => {
    const repository = parseRepositoryName(`model/run${run++}`)
    const tags = createTagStore({ driver, concurrency: 4 })
    const model = new Map<string, string>()
    let everHad = false
    for (const step of steps) {
      switch (step.kind) {
        case 'set':
          await tags.set(repository, parseTag(step.tag), digests[step.digest] ?? a)
          model.set(step.tag, digests[step.digest] ?? a)
          everHad = true
          break
        case 'remove':
          equal(await tags.remove(repository, parseTag(step.tag)), model.delete(step.tag))
          break
        case 'resolve':
          equal(await tags.resolve(repository, parseTag(step.tag)), model.get(step.tag))
          break
        case 'list':
          equal(await tags.list(repository), everHad ? [...model.keys()].toSorted() : undefined)
          break
        case 'pointingTo': {
          const digest = digests[step.digest] ?? a
          const expected = [...model].filter(([, value]) => value === digest).map(([tag]) => tag)
          equal(await tags.pointingTo(repository, digest), expected.toSorted())
          break
        }
        default:
          step satisfies never
      }
    }
  })

  await fc.assert(property, { numRuns: 25 })
  t.pass()
})

function equal(found: unknown, expected: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(expected))
    throw new Error(`expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`)
}
