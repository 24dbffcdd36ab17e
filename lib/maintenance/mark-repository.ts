// What one repository needs of what it has. Manifests that stay are followed to all that they refer to; a link is needed
// if one of them names it, if it is young, or if it belongs to a push that is under way.
//
// Without `untagged` every manifest stays. With it stay: what a tag means, what is young, and from there on children
// and referrers, as deep as they go. A repository that never had a tag is pushed to and pulled from by digest: all of
// it stays. So it does where a manifest or a tag cannot be read, as that may need whatever there is.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import { layout } from '../storage/layout.ts'
import { CorruptLinkError } from '../storage/links.ts'
import type { CollectEvent, UnneededLink } from './collection.ts'
import { inTurns } from './in-turns.ts'
import { followLinksBelow, type FollowedLink } from './links-below.ts'
import { readStoredManifest, type StoredManifest } from './read-manifest.ts'

export interface MarkOptions extends CallOptions {
  readonly untagged: boolean
  /** What was written later than this is young; milliseconds since the epoch. */
  readonly cutoffMs: number
  readonly graceMs: number
  readonly concurrency: number
  readonly isVerbose: boolean
}

export interface RepositoryMarks {
  readonly name: RepositoryName
  /** Where they had to be looked at. */
  readonly tags: readonly Tag[]
  readonly events: readonly CollectEvent[]
  readonly manifests: readonly UnneededLink[]
  readonly layers: readonly UnneededLink[]
}

type Links = ReadonlyMap<Digest, FollowedLink>

/** Adds what the repository needs to `marks`: digests that content is stored under. */
export async function markRepository(
  stores: Pick<Stores, 'driver' | 'tags'>,
  name: RepositoryName,
  marks: Set<Digest>,
  options: MarkOptions,
): Promise<RepositoryMarks> {
  const { driver } = stores
  const { concurrency, signal, untagged, isVerbose } = options
  const reading = { concurrency, signal }
  const events: CollectEvent[] = [{ kind: 'repository', name }]
  const warn = (message: string) => void events.push({ kind: 'warning', message: `${name}: ${message}` })
  // Layers first: what a push links while we look at manifests is not among them.
  const youngMs = await youngSince(stores, name, options)
  const layers = await followLinksBelow(driver, layout.layers(name), reading)
  const revisions = await followLinksBelow(driver, layout.revisions(name), reading)
  const tagged = untagged ? await tagsOf(stores, name, options) : undefined
  if (tagged?.isBroken === true) warn('a tag cannot be read: all manifests are kept')
  const closure = new Closure(stores, revisions, reading)
  const isSelective = tagged?.tags !== undefined && !tagged.isBroken
  if (isSelective) {
    const young = [...revisions.values()].filter(({ modifiedAtMs }) => modifiedAtMs >= youngMs)
    await closure.keep([...tagged.meanings, ...young.map(({ digest }) => digest)])
    await closure.keepReferrers()
  }
  if (!isSelective || closure.isOpaque) await closure.keep([...revisions.keys()])
  for (const problem of closure.problems) warn(problem)

  for (const digest of closure.kept) {
    marks.add(digest)
    marks.add(revisions.get(digest)?.target ?? digest)
    if (isVerbose) events.push({ kind: 'manifest-marked', name, digest })
  }
  for (const digest of closure.blobs) {
    marks.add(digest)
    marks.add(layers.get(digest)?.target ?? digest)
    if (isVerbose) events.push({ kind: 'blob-marked', name, digest })
  }
  const unneeded = [...revisions.values()].filter(({ digest }) => !closure.kept.has(digest))
  return {
    name,
    tags: tagged?.tags ?? [],
    events,
    manifests: unneeded.map(link => ({ ...linkOf(link), name })),
    layers: unneededLayers(layers, closure, marks, youngMs).map(link => ({ ...linkOf(link), name })),
  }
}

/** The others' targets are marked. */
function unneededLayers(
  layers: Links,
  { blobs, kept, isOpaque }: Closure,
  marks: Set<Digest>,
  youngMs: number,
): readonly FollowedLink[] {
  // Some clients read manifests as blobs; and a blob may be linked by several names.
  const targets = new Set([...blobs, ...kept].map(digest => layers.get(digest)?.target ?? digest))
  const unneeded: FollowedLink[] = []
  for (const link of layers.values()) {
    const { digest, target, modifiedAtMs, isBroken } = link
    const isNeeded = isOpaque || isBroken || modifiedAtMs >= youngMs
    if (isNeeded || blobs.has(digest) || targets.has(digest) || targets.has(target)) {
      marks.add(target)
      marks.add(digest)
    } else unneeded.push(link)
  }
  return unneeded
}

function linkOf({ digest, target }: FollowedLink): Omit<UnneededLink, 'name'> {
  return { digest, target }
}

/** Manifests that stay, and the blobs that they refer to, of one repository. */
export class Closure {
  readonly kept = new Set<Digest>()
  readonly blobs = new Set<Digest>()
  readonly problems = new Set<string>()
  isOpaque = false
  readonly #stores: Pick<Stores, 'driver'>
  readonly #revisions: Pick<Links, 'get' | 'keys'>
  readonly #reading: CallOptions & { readonly concurrency: number }

  constructor(
    stores: Pick<Stores, 'driver'>,
    revisions: Pick<Links, 'get' | 'keys'>,
    reading: CallOptions & { readonly concurrency: number },
  ) {
    this.#stores = stores
    this.#revisions = revisions
    this.#reading = reading
  }

  async keep(digests: readonly Digest[]): Promise<void> {
    for (let next = digests; next.length > 0;) {
      const fresh = [...new Set(next)].filter(digest => !this.kept.has(digest))
      for (const digest of fresh) this.kept.add(digest)
      const found = await inTurns(this.#reading.concurrency, fresh, digest => this.#read(digest))
      next = fresh.flatMap((digest, at) => this.#follow(digest, found[at] ?? { kind: 'missing' }))
    }
  }

  /** Keeps what names one of those kept as its subject, and what names that, and so on. */
  async keepReferrers(): Promise<void> {
    const bySubject = new Map<Digest, Digest[]>()
    const others = [...this.#revisions.keys()].filter(digest => !this.kept.has(digest))
    await inTurns(this.#reading.concurrency, others, async digest => {
      const read = await this.#read(digest)
      if (read.kind === 'opaque') this.#giveUp(digest, read.reason)
      if (read.kind !== 'manifest' || read.subject === undefined) return
      bySubject.set(read.subject, [...(bySubject.get(read.subject) ?? []), digest])
    })
    for (let subjects = [...this.kept]; subjects.length > 0;) {
      const before = new Set(this.kept)
      await this.keep(subjects.flatMap(subject => bySubject.get(subject) ?? []))
      subjects = [...this.kept].filter(digest => !before.has(digest))
    }
  }

  #read(digest: Digest): Promise<StoredManifest> {
    const target = this.#revisions.get(digest)?.target ?? digest
    return readStoredManifest(this.#stores.driver, target, this.#reading)
  }

  #follow(digest: Digest, read: StoredManifest): readonly Digest[] {
    const isLinked = this.#revisions.get(digest) !== undefined
    switch (read.kind) {
      case 'missing':
        // A mirror has some of an index's children only.
        if (isLinked) this.problems.add(`manifest ${digest} is linked and not there`)
        return []
      case 'opaque':
        if (isLinked) this.#giveUp(digest, read.reason)
        return []
      case 'manifest':
        for (const blob of read.blobs) this.blobs.add(blob)
        return read.manifests
      default:
        read satisfies never
        return []
    }
  }

  #giveUp(digest: Digest, reason: string): void {
    this.isOpaque = true
    this.problems.add(`manifest ${digest} cannot be read, all that the repository has is kept: ${reason}`)
  }
}

export interface TagMeanings {
  /** undefined: there never was one. */
  readonly tags: readonly Tag[] | undefined
  readonly meanings: readonly Digest[]
  readonly isBroken: boolean
}

export async function tagsOf(
  { tags }: Pick<Stores, 'tags'>,
  name: RepositoryName,
  { concurrency, signal }: CallOptions & { readonly concurrency: number },
): Promise<TagMeanings> {
  const all = await tags.list(name, { signal })
  let isBroken = false
  const meanings = await inParallel(concurrency, all ?? [], async tag => {
    try {
      return await tags.resolve(name, tag, { signal })
    } catch (err) {
      if (!(err instanceof CorruptLinkError)) throw err
      isBroken = true
      return undefined
    }
  })
  return { tags: all, meanings: meanings.filter(digest => digest !== undefined), isBroken }
}

/** A push with an upload that somebody worked on lately began before that upload, and its links are young. */
async function youngSince(
  { driver }: Pick<Stores, 'driver'>,
  name: RepositoryName,
  { cutoffMs, graceMs, signal }: MarkOptions,
): Promise<number> {
  const uploads = new Map<string, { readonly firstMs: number; readonly lastMs: number }>()
  const directory = layout.uploads(name)
  for await (const { path, modifiedAtMs } of driver.walk(directory, { signal })) {
    const [id = ''] = path.slice(directory.length + 1).split('/')
    const { firstMs, lastMs } = uploads.get(id) ?? { firstMs: modifiedAtMs, lastMs: modifiedAtMs }
    uploads.set(id, { firstMs: Math.min(firstMs, modifiedAtMs), lastMs: Math.max(lastMs, modifiedAtMs) })
  }
  const underWay = [...uploads.values()].filter(({ lastMs }) => lastMs >= cutoffMs)
  return Math.min(cutoffMs, ...underWay.map(({ firstMs }) => firstMs - graceMs))
}
