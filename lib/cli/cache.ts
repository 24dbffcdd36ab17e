// `registry cache`: what is in the cache, what it takes, what stays, and removing from it. Each command prints a table, or
// JSON for programs: what the admin API answers, a list as an array.
import { systemClock } from '../clock.ts'
import type { CachedImage, CacheStats, UrlState } from '../http/admin/cache-admin.ts'
import { formatImageReference, parseImageReference } from '../oci/image-reference.ts'
import { withCache, type CacheCommand } from './find-cache.ts'
import type { Io } from './io.ts'
import { formatAgo, formatBytes, formatTime } from './quantities.ts'
import { formatPairs, formatTable } from './table.ts'

interface Form {
  readonly json?: boolean | undefined
}

/** All of these settle with the exit code. */
export function listImages(
  command: CacheCommand,
  { pattern, json }: Form & { readonly pattern?: string | undefined },
): Promise<number> {
  const { io } = command
  return withCache(command, async cache => {
    const images: CachedImage[] = []
    for await (const image of cache.list({ pattern })) images.push(image)
    if (json === true) return printJson(io, images)
    if (images.length === 0) return print(io, 'Nothing is cached that matches.\n')
    const nowMs = systemClock.now()
    return print(
      io,
      formatTable(
        [
          ...[{ title: 'IMAGE' }, { title: 'DIGEST' }, { title: 'SIZE', isNumber: true }],
          ...['USED', 'CHECKED', 'TTL LEFT', 'UPSTREAM', 'PINNED'].map(title => ({ title })),
        ],
        images.map(image => [
          image.tag === undefined ? image.repository : `${image.repository}:${image.tag}`,
          shortDigest(image.digest),
          formatBytes(image.sizeBytes),
          formatAgo(image.lastUsedAtMs, nowMs),
          formatAgo(image.checkedAtMs, nowMs),
          image.ttlLeftMs === undefined ? 'forever' : formatTime(image.ttlLeftMs),
          image.upstream ?? '-',
          image.isPinned ? 'yes' : '',
        ]),
      ),
    )
  })
}

export function showStats(command: CacheCommand, { json }: Form): Promise<number> {
  const { io } = command
  return withCache(command, async cache => {
    const stats = await cache.stats()
    if (json === true) return printJson(io, stats)
    const urls = stats.upstreams.flatMap(upstream => upstream.urls.map((url, at) => ({ upstream, url, at })))
    const nowMs = systemClock.now()
    const count = (value: number | undefined, at: number) => (at > 0 ? '' : String(value ?? '-'))
    print(io, formatPairs(statsPairs(stats)))
    if (urls.length === 0) return 0
    return print(
      io,
      `\n${formatTable(
        [
          { title: 'UPSTREAM' },
          ...['HITS', 'MISSES', 'STALE'].map(title => ({ title, isNumber: true })),
          ...['URL', 'CIRCUIT', 'ANSWERED', 'RATE LIMIT'].map(title => ({ title })),
        ],
        urls.map(({ upstream, url, at }) => [
          at > 0 ? '' : upstream.name,
          ...[upstream.hits, upstream.misses, upstream.stale].map(value => count(value, at)),
          url.host,
          ...[formatCircuit(url, nowMs), formatAgo(url.circuit.lastAnsweredAtMs, nowMs), formatBudget(url)],
        ]),
      )}`,
    )
  })
}

function statsPairs(stats: CacheStats): readonly (readonly [string, string])[] {
  const { limits, usedBytes } = stats
  const share =
    limits === undefined ? '' : ` of ${formatBytes(limits.maxBytes)} (${percent(usedBytes, limits.maxBytes)})`
  const marks =
    limits === undefined
      ? ', without limit'
      : `, evicts above ${formatBytes(limits.highBytes)} down to ${formatBytes(limits.lowBytes)}`
  const isPartial = stats.isComplete ? '' : ', more is being found'
  const { evictedBytes, evictedCount, servedBytes } = stats
  const fills = `${stats.fillsRunning} ${stats.fillsRunning === 1 ? 'fill' : 'fills'}`
  return [
    ['used', `${formatBytes(usedBytes)}${share}${marks}`],
    ['content', `${stats.entries} manifests and blobs${isPartial}`],
    ['pinned', formatBytes(stats.pinnedBytes)],
    ['under way', `${fills}, ${formatBytes(stats.reservedBytes)} reserved`],
    ...(servedBytes === undefined
      ? []
      : [['served', `${formatBytes(servedBytes)} from the cache since the start`] as const]),
    ...(evictedBytes === undefined || evictedCount === undefined
      ? []
      : [['evicted', `${formatBytes(evictedBytes)} in ${evictedCount} pieces since the start`] as const]),
  ]
}

export function showDiskUse(command: CacheCommand, { json }: Form): Promise<number> {
  const { io } = command
  return withCache(command, async cache => {
    const use = await cache.du()
    if (json === true) return printJson(io, use)
    const columns = [
      { title: 'SIZE', isNumber: true },
      { title: 'EXCLUSIVE', isNumber: true },
      { title: 'REPOSITORY' },
    ]
    const rows = use.repositories
      .toSorted((a, b) => b.bytes - a.bytes)
      .map(({ name, bytes, exclusiveBytes }) => [
        formatBytes(bytes),
        exclusiveBytes === undefined ? '-' : formatBytes(exclusiveBytes),
        name,
      ])
    return print(io, formatTable(columns, [...rows, [formatBytes(use.totalBytes), '', 'in all']]))
  })
}

export function listPins(command: CacheCommand, { json }: Form): Promise<number> {
  const { io } = command
  return withCache(command, async cache => {
    const pins = await cache.pins()
    if (json === true) return printJson(io, pins)
    if (pins.length === 0) return print(io, 'Nothing is pinned.\n')
    const rows = pins.map(({ pattern, source }) => [pattern, source])
    return print(io, formatTable([{ title: 'PATTERN' }, { title: 'PINNED BY' }], rows))
  })
}

export function addPin(command: CacheCommand, pattern: string): Promise<number> {
  return withCache(command, async cache => {
    await cache.pin(pattern)
    return print(command.io, formatPairs([['pinned', pattern]]))
  })
}

export function removePin(command: CacheCommand, pattern: string): Promise<number> {
  return withCache(command, async cache => {
    if (!(await cache.unpin(pattern))) throw new Error(`Cannot unpin "${pattern}": it is not pinned`)
    return print(command.io, formatPairs([['unpinned', pattern]]))
  })
}

/** Ends with 1 where there was nothing to remove, or all of it has stayed. */
export function purgeImage(
  command: CacheCommand,
  text: string,
  choice: { readonly force?: boolean | undefined; readonly allTags?: boolean | undefined },
): Promise<number> {
  const { io } = command
  return withCache(command, async cache => {
    const image = parseImageReference(text)
    const name = formatImageReference(image)
    const { removedBytes, removedCount, kept } = await cache.purge(image, choice)
    if (removedCount === 0 && kept.length === 0)
      throw new Error(`Cannot purge "${name}": nothing of it is cached`)
    print(io, `${name}: removed ${formatBytes(removedBytes)} in ${removedCount} manifests and blobs\n`)
    for (const [reason, meaning] of Object.entries(keptMeanings)) {
      const count = kept.filter(one => one.reason === reason).length
      if (count > 0) print(io, `${name}: kept ${count} ${meaning}\n`)
    }
    // Where others need all of it, what goes is the tag.
    return removedCount === 0 && !kept.some(({ reason }) => reason === 'needed') ? 1 : 0
  })
}

const keptMeanings = {
  pinned: 'that are pinned (--force removes them, too)',
  needed: 'that other images need',
  used: 'that are in use',
}

export function formatCircuit({ circuit }: UrlState, nowMs: number): string {
  if (circuit.kind === 'closed') return 'closed'
  const until = circuit.untilMs === undefined ? '' : `, next try in ${formatTime(circuit.untilMs - nowMs)}`
  return `${circuit.kind}${until}${circuit.lastFailure === undefined ? '' : ` (${circuit.lastFailure})`}`
}

export function formatBudget({ budget }: UrlState): string {
  if (budget === undefined) return '-'
  return `${budget.remaining} of ${budget.limit} left, per ${formatTime(budget.windowMs)}`
}

function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((part / whole) * 100)}%` : '-'
}

function shortDigest(digest: string): string {
  return digest.slice(0, digest.indexOf(':') + 13)
}

function print(io: Io, text: string): number {
  io.stdout.write(text)
  return 0
}

function printJson(io: Io, value: unknown): number {
  return print(io, `${JSON.stringify(value, undefined, 2)}\n`)
}
