// Garbage collection: removes blobs that nothing refers to, links to blobs that no manifest of their repository names,
// and, if asked for, manifests without a tag. Pushes may go on meanwhile, in this process and in others:
//
//   note start    wait for changes that are under way in this process; what is younger than the grace stays
//   mark          follow the manifests of every repository; what no mark reaches is planned to go
//   sweep         links, then bytes: sweep-plan.ts
//   report
//
// Nothing is removed before all is marked: what cannot be read ends the collection. docs/design/008-garbage-collection.md.
import { inParallel } from '../in-parallel.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { listLinkPlaces } from '../storage/catalog.ts'
import { baseName, layout } from '../storage/layout.ts'
import type { CollectDeps, CollectEvent, CollectOptions, UnneededLink } from './collection.ts'
import { inTurns, withTurns } from './in-turns.ts'
import { markRepository, type RepositoryMarks } from './mark-repository.ts'
import { nothing, sweepPlanned, type Plan, type Settings } from './sweep-plan.ts'
import { createSweeper, type Sweeper } from './sweep.ts'

/** Does its work while it is iterated. The last event is `done`. */
export async function* collectGarbage(
  deps: CollectDeps,
  options: CollectOptions,
): AsyncGenerator<CollectEvent, void, undefined> {
  const cutoffMs = deps.clock.now() - options.graceMs
  const uses = await deps.stores.uses.watch(cutoffMs)
  try {
    yield* collect(deps, { ...options, cutoffMs }, createSweeper(deps, uses, { ...options, cutoffMs }))
  } finally {
    uses.end()
  }
}

/** A store in memory answers at once: requests must get their turn all the same. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

async function* collect(
  deps: CollectDeps,
  settings: Settings,
  sweeper: Sweeper,
): AsyncGenerator<CollectEvent, void, undefined> {
  let warnings = 0
  const plan: Plan = yield* counting(mark(deps, settings), () => warnings++)
  const { marks, manifests, layers, blobs, repositories } = plan
  const counts = { marked: marks.size, blobs: blobs.length, manifests: manifests.length }
  yield { kind: 'planned', ...counts }
  for (const digest of blobs) yield { kind: 'blob-eligible', digest }
  for (const { name, digest } of layers) yield { kind: 'link-eligible', name, digest }
  const report = {
    dryRun: settings.dryRun,
    repositories,
    marked: counts.marked,
    eligible: { blobs: blobs.length, manifests: manifests.length, layerLinks: layers.length },
    warnings,
  }
  const swept = settings.dryRun ? nothing : await sweepPlanned(deps, settings, sweeper, plan)
  yield { kind: 'done', report: { ...report, ...swept } }
}

/** Passes on the events, and counts warnings. */
async function* counting<R>(
  events: AsyncGenerator<CollectEvent, R, undefined>,
  warned: () => void,
): AsyncGenerator<CollectEvent, R, undefined> {
  for (;;) {
    const { done, value } = await events.next()
    if (done === true) return value
    if (value.kind === 'warning') warned()
    yield value
  }
}

async function* mark(deps: CollectDeps, settings: Settings): AsyncGenerator<CollectEvent, Plan, undefined> {
  const { stores } = deps
  const { concurrency, signal } = settings
  const marks = new Set<Digest>()
  const found: RepositoryMarks[] = []
  const names = await listLinkPlaces(stores.driver, { signal })
  for (let at = 0; at < names.length; at += concurrency) {
    const some = names.slice(at, at + concurrency)
    await turn()
    for (const one of await inParallel(concurrency, some, name =>
      markRepository(stores, name, marks, settings),
    )) {
      yield* one.events
      if (one.manifests.length + one.layers.length > 0) found.push({ ...one, events: [] })
    }
  }
  const [manifests, layers] = [found.flatMap(one => one.manifests), found.flatMap(one => one.layers)]
  const links = await withoutMirrored(deps, settings, manifests, layers)
  const tags = new Map(found.map(one => [one.name, one.tags]))
  for (const { name, digest } of links.manifests)
    yield { kind: 'manifest-eligible', name, digest, tags: tags.get(name) ?? [] }
  const blobs = await unmarkedBlobs(deps, settings, marks)
  return { repositories: names.length, marks, blobs, ...links }
}

async function unmarkedBlobs(
  { stores: { driver, mirroredContent }, isMirror }: CollectDeps,
  { cutoffMs, signal }: Settings,
  marks: ReadonlySet<Digest>,
): Promise<readonly Digest[]> {
  const found: Digest[] = []
  for await (const { path, modifiedAtMs } of withTurns(driver.walk(layout.blobs, { signal }))) {
    const [algorithm, , hex] = path.slice(layout.blobs.length + 1).split('/')
    const digest = `${algorithm}:${hex}`
    if (baseName(path) !== 'data' || !isDigest(digest) || path !== layout.blobContent(digest)) continue
    if (marks.has(digest) || modifiedAtMs >= cutoffMs) continue
    if (isMirror && (await mirroredContent.isMarked(digest, { signal }))) continue
    found.push(digest)
  }
  return found
}

/** The evictor has its own ways of removing what was mirrored. */
async function withoutMirrored(
  { stores: { mirroredContent }, isMirror }: CollectDeps,
  { concurrency, signal }: Settings,
  manifests: readonly UnneededLink[],
  layers: readonly UnneededLink[],
): Promise<Pick<Plan, 'manifests' | 'layers'>> {
  if (!isMirror) return { manifests, layers }
  const pushed = async (links: readonly UnneededLink[]) => {
    const marked = await inTurns(concurrency, links, ({ target }) =>
      mirroredContent.isMarked(target, { signal }),
    )
    return links.filter((_, at) => marked[at] !== true)
  }
  return { manifests: await pushed(manifests), layers: await pushed(layers) }
}
