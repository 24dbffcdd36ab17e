// Removes what a collection has planned, one repository after the other. What another process links before links are
// looked at again is seen then; what it links after sees that links are gone. So links are put back that were taken from
// under a manifest, and nothing stops that half-way: a collection that is ended ends between two repositories.
//
//   unlink        manifests, then layer links, each after another look under its locks
//   look again    at this repository: links that something needs now are put back
//   mark again    all repositories: what appeared since, or was needed again
//   bytes         of what still has no mark, each after another look
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { listLinkPlaces } from '../storage/catalog.ts'
import { layout } from '../storage/layout.ts'
import type { CollectDeps, CollectOptions, CollectReport, UnneededLink } from './collection.ts'
import { followLinksBelow, linksBelow } from './links-below.ts'
import { Closure, tagsOf } from './mark-repository.ts'
import type { Sweeper } from './sweep.ts'

export interface Settings extends CollectOptions {
  readonly cutoffMs: number
}

export interface Plan {
  readonly repositories: number
  readonly marks: Set<Digest>
  readonly manifests: readonly UnneededLink[]
  readonly layers: readonly UnneededLink[]
  readonly blobs: readonly Digest[]
}

type Swept = Pick<CollectReport, 'removed' | 'retained'>

export const nothing: Swept = {
  removed: { blobs: 0, bytes: 0, manifests: 0, layerLinks: 0 },
  retained: 0,
}

/** Links of one repository, or of several. */
interface LinkSets {
  readonly manifests: readonly UnneededLink[]
  readonly layers: readonly UnneededLink[]
}

export async function sweepPlanned(
  deps: CollectDeps,
  settings: Settings,
  sweeper: Sweeper,
  plan: Plan,
): Promise<Swept> {
  const { marks } = plan
  const removed = new Map<RepositoryName, LinkSets>()
  const [manifests, layers] = [byName(plan.manifests), byName(plan.layers)]
  for (const name of new Set([...manifests.keys(), ...layers.keys()])) {
    settings.signal?.throwIfAborted()
    const planned = { manifests: manifests.get(name) ?? [], layers: layers.get(name) ?? [] }
    const gone = await unlinkIn(deps, { ...settings, signal: undefined }, sweeper, { name, planned, marks })
    if (gone.manifests.length + gone.layers.length > 0) removed.set(name, gone)
  }
  let [manifestCount, layerCount] = [0, 0]
  for (const name of await listLinkPlaces(deps.stores.driver, { signal: settings.signal })) {
    const gone = await lookAgain(deps, settings, sweeper, { name, removed: removed.get(name), marks })
    manifestCount += gone.manifests.length
    layerCount += gone.layers.length
    await markYoungLayers(deps, settings, name, marks)
  }
  const blobs = await sweeper.blobs(plan.blobs, digest => marks.has(digest))
  return {
    removed: {
      blobs: blobs.count,
      bytes: blobs.bytes,
      manifests: manifestCount,
      layerLinks: layerCount,
    },
    retained: plan.manifests.length - manifestCount + (plan.layers.length - layerCount) + blobs.retained,
  }
}

interface Unlinking {
  readonly name: RepositoryName
  readonly planned: LinkSets
  readonly marks: Set<Digest>
}

/** What was removed, and is not needed again by now. */
async function unlinkIn(
  deps: CollectDeps,
  settings: Settings,
  sweeper: Sweeper,
  { name, planned, marks }: Unlinking,
): Promise<LinkSets> {
  const manifests = await sweeper.manifests(planned.manifests)
  // What one of those that stay needs must not lose its links next.
  const staying = manifests.retained.map(({ digest }) => digest)
  const needed = staying.length === 0 ? none : await needsIn(deps, settings, name, staying, marks)
  const isOver = manifests.failure !== undefined
  const layers = await sweeper.layers(isOver ? [] : planned.layers.filter(link => !isIn(needed, link)))
  for (const { digest, target } of [...layers.retained, ...planned.layers.filter(link => isIn(needed, link))])
    marks.add(digest).add(target)
  const removed = { manifests: manifests.removed, layers: layers.removed }
  const gone = await lookAgain(deps, settings, sweeper, { name, removed, marks })
  const failure = manifests.failure ?? layers.failure
  if (failure !== undefined) throw failure as Error
  return gone
}

const none: ReadonlySet<Digest> = new Set()

function isIn(digests: ReadonlySet<Digest>, { digest, target }: UnneededLink): boolean {
  return digests.has(digest) || digests.has(target)
}

/** Marks what new manifests need, and puts back what was removed of that; returns the rest of what was removed. */
async function lookAgain(
  deps: CollectDeps,
  settings: Settings,
  sweeper: Sweeper,
  {
    name,
    removed = nothingGone,
    marks,
  }: Omit<Unlinking, 'planned'> & { readonly removed?: LinkSets | undefined },
): Promise<LinkSets> {
  const news = await newManifests(deps, settings, name, removed.manifests)
  if (news.length === 0) return removed
  const needed = await needsIn(deps, settings, name, news, marks)
  const isNeeded = (link: UnneededLink) => isIn(needed, link)
  const lost = { manifests: removed.manifests.filter(isNeeded), layers: removed.layers.filter(isNeeded) }
  await sweeper.restore('layer', lost.layers)
  await sweeper.restore('manifest', lost.manifests)
  for (const { target } of [...lost.layers, ...lost.manifests]) marks.add(target)
  return {
    manifests: removed.manifests.filter(link => !isNeeded(link)),
    layers: removed.layers.filter(link => !isNeeded(link)),
  }
}

const nothingGone: LinkSets = { manifests: [], layers: [] }

async function markYoungLayers(
  { stores: { driver, links } }: CollectDeps,
  { signal, cutoffMs }: Settings,
  name: RepositoryName,
  marks: Set<Digest>,
): Promise<void> {
  for await (const { digest, modifiedAtMs } of linksBelow(driver, layout.layers(name), { signal })) {
    if (modifiedAtMs < cutoffMs || marks.has(digest)) continue
    marks.add(digest)
    marks.add((await links.lookUp(name, 'layer', digest, { signal })) ?? digest)
  }
}

/** Marks manifests with all that they refer to; returns what that is. */
async function needsIn(
  { stores }: CollectDeps,
  { concurrency, signal }: Settings,
  name: RepositoryName,
  manifests: readonly Digest[],
  marks: Set<Digest>,
): Promise<ReadonlySet<Digest>> {
  const reading = { concurrency, signal }
  const revisions = await followLinksBelow(stores.driver, layout.revisions(name), reading)
  const layers = await followLinksBelow(stores.driver, layout.layers(name), reading)
  const closure = new Closure(stores, revisions, reading)
  await closure.keep(manifests)
  if (closure.isOpaque) for (const { digest, target } of layers.values()) marks.add(digest).add(target)
  const needed = new Set([...closure.kept, ...closure.blobs])
  for (const digest of needed) {
    marks.add(digest)
    marks.add(revisions.get(digest)?.target ?? digest)
    marks.add(layers.get(digest)?.target ?? digest)
  }
  return needed
}

/** Manifests that were linked lately, and those that were unlinked and that a tag means now. */
async function newManifests(
  { stores }: CollectDeps,
  settings: Settings,
  name: RepositoryName,
  removed: readonly UnneededLink[],
): Promise<readonly Digest[]> {
  const { signal, cutoffMs } = settings
  const news: Digest[] = []
  for await (const { digest, modifiedAtMs } of linksBelow(stores.driver, layout.revisions(name), {
    signal,
  })) {
    if (modifiedAtMs >= cutoffMs) news.push(digest)
  }
  if (removed.length === 0) return news
  const { meanings } = await tagsOf(stores, name, settings)
  const meant = new Set(meanings)
  return [...news, ...removed.map(({ digest }) => digest).filter(digest => meant.has(digest))]
}

function byName(links: readonly UnneededLink[]): ReadonlyMap<RepositoryName, readonly UnneededLink[]> {
  const found = new Map<RepositoryName, UnneededLink[]>()
  for (const link of links) {
    const some = found.get(link.name)
    if (some === undefined) found.set(link.name, [link])
    else some.push(link)
  }
  return found
}
