// Who goes, and in which order. Pure: what it says depends on what it is given.
//
// Content forms images: an index leads to manifests, a manifest to its config and layers; many images may share a part.
// An image was used when any part of it was, and all its parts with it. What several images share goes with the one that
// was used last, and a use of it counts for that one alone: else a common layer would keep every image that ever had it.
//
//   1. Own times: the last use, or when it was marked.
//   2. Downwards: a use of an index, or of a manifest, counts for all below it.
//   3. Upwards: a use of a part counts for that one of its parents that was used last by then.
//   4. Downwards once more, so that all parts of an image are as young as the image.
//
// The oldest go first; of equal age, as within an image, blobs go before their manifest, that before its index, and of
// the blobs those that were used longest ago. A part never goes after its youngest parent, nor before an older one.
import type { Digest } from '../oci/digest.ts'
import type { MirroredEntry } from '../storage/mirrored-content.ts'
import { smallestFirst } from './smallest-first.ts'

export interface PlanInput {
  readonly entries: Iterable<MirroredEntry>
  /** Milliseconds since the epoch; undefined: the time of the marker counts. */
  lastUse(digest: Digest): number | undefined
  /** Pinned, being fetched, or being read: it does not go. */
  isKept(digest: Digest): boolean
}

export interface Victim {
  readonly entry: MirroredEntry
  /** When the youngest image that it is part of was last used, milliseconds since the epoch. */
  readonly usedAtMs: number
}

export interface Plan {
  /** All that may go, in the order in which it goes; to be gone through once. */
  readonly victims: Iterable<Victim>
  /** The bytes of all of them. */
  readonly freeableBytes: number
  /** What leads to it, at any distance. */
  ancestorsOf(digest: Digest): readonly Digest[]
}

interface Node extends Victim {
  readonly entry: MirroredEntry
  readonly ownMs: number
  /** After step 2. */
  baseMs: number
  usedAtMs: number
  /** Of a blob 0, of what leads to others more than of any of them. */
  height: number
  parents: Node[]
  children: Node[]
  /** How many parents come before it in the order, and are still to be gone through. */
  waitingFor: number
}

export function planEviction({ entries, lastUse, isKept }: PlanInput): Plan {
  const nodes = new Map<Digest, Node>()
  for (const entry of entries) nodes.set(entry.digest, toNode(entry, lastUse(entry.digest)))
  for (const node of nodes.values()) connect(node, nodes)
  const order = parentsFirst(nodes.values())

  for (const { baseMs, children } of order) {
    for (const child of children) child.baseMs = Math.max(child.baseMs, baseMs)
  }
  for (const node of order) node.usedAtMs = node.baseMs
  for (let at = order.length - 1; at >= 0; at--) {
    const node = order[at]
    if (node === undefined) continue
    const { usedAtMs, height, parents } = node
    const latest = latestOf(parents)
    if (latest !== undefined) latest.usedAtMs = Math.max(latest.usedAtMs, usedAtMs)
    for (const parent of parents) parent.height = Math.max(parent.height, height + 1)
  }
  for (const { usedAtMs, children } of order) {
    for (const child of children) child.usedAtMs = Math.max(child.usedAtMs, usedAtMs)
  }

  const going = order.filter(({ entry }) => !isKept(entry.digest))
  let freeableBytes = 0
  for (const { entry } of going) freeableBytes += entry.size
  return {
    victims: smallestFirst(going, byAge),
    freeableBytes,
    ancestorsOf: digest => ancestorsOf(nodes.get(digest)),
  }
}

function toNode(entry: MirroredEntry, lastUseMs: number | undefined): Node {
  const ownMs = lastUseMs ?? entry.markedAtMs
  return {
    entry,
    ownMs,
    baseMs: ownMs,
    usedAtMs: ownMs,
    height: entry.kind === 'manifest' ? 1 : 0,
    parents: none,
    children: none,
    waitingFor: 0,
  }
}

/** Most have few or none of them: shared, and replaced before anything is added. */
const none: Node[] = []

function withAdded(nodes: Node[], node: Node): Node[] {
  if (nodes === none) return [node]
  nodes.push(node)
  return nodes
}

function connect(node: Node, nodes: ReadonlyMap<Digest, Node>): void {
  if (node.entry.refs.length === 0) return
  for (const ref of new Set(node.entry.refs)) {
    const child = nodes.get(ref)
    if (child === undefined || child === node) continue
    node.children = withAdded(node.children, child)
    child.parents = withAdded(child.parents, node)
    child.waitingFor++
  }
}

/** A digest cannot be that of content which leads to itself; markers that say so are broken, and left alone. */
function parentsFirst(nodes: Iterable<Node>): readonly Node[] {
  const order: Node[] = []
  for (const node of nodes) if (node.waitingFor === 0) order.push(node)
  for (const { children } of order) {
    for (const child of children) if (--child.waitingFor === 0) order.push(child)
  }
  return order
}

function latestOf(parents: readonly Node[]): Node | undefined {
  let latest = parents[0]
  for (const parent of parents) {
    if (latest === undefined || parent.baseMs > latest.baseMs) latest = parent
    else if (parent.baseMs === latest.baseMs && parent.entry.digest < latest.entry.digest) latest = parent
  }
  return latest
}

function byAge(a: Node, b: Node): number {
  return (
    a.usedAtMs - b.usedAtMs ||
    a.height - b.height ||
    a.ownMs - b.ownMs ||
    (a.entry.digest < b.entry.digest ? -1 : 1)
  )
}

function ancestorsOf(node: Node | undefined): readonly Digest[] {
  const found = new Set<Node>(node?.parents)
  for (const ancestor of found) for (const parent of ancestor.parents) found.add(parent)
  return Array.from(found, ({ entry }) => entry.digest)
}
