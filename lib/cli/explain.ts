// `registry explain`: what a request for an image would meet, as lines that an operator reads from top to bottom.
import { systemClock } from '../clock.ts'
import type { Explanation } from '../http/admin/cache-admin.ts'
import { parseImageReference } from '../oci/image-reference.ts'
import { formatBudget, formatCircuit } from './cache.ts'
import { withCache, type CacheCommand } from './find-cache.ts'
import { formatAgo, formatBytes, formatTime } from './quantities.ts'
import { formatPairs } from './table.ts'

/** Settles with the exit code. */
export function explain(
  command: CacheCommand,
  text: string,
  { json }: { readonly json?: boolean | undefined },
): Promise<number> {
  const { io } = command
  return withCache(command, async cache => {
    const explanation = await cache.explain(parseImageReference(text))
    io.stdout.write(
      json === true
        ? `${JSON.stringify(explanation, undefined, 2)}\n`
        : formatPairs([...linesOf(explanation, systemClock.now())]),
    )
    return 0
  })
}

type Line = readonly [name: string, value: string]

const choices: Readonly<Record<Explanation['chosenBy'], string>> = {
  namespace: 'by the registry that is named (ns)',
  'virtual-host': 'by the Host header',
  host: 'by the host in the name',
  prefix: 'by a prefix of the name',
  default: 'as the default',
  none: 'none: no upstream is configured for it',
}

const verdicts: Readonly<Record<Explanation['verdict'], string>> = {
  pushed: 'pushed here: it is served, and no upstream moves it',
  fresh: 'fresh: it is served without asking the upstream',
  expired: 'expired: the upstream is asked first; what is here covers its trouble',
  missing: 'missing: the upstream is asked, and nothing is here to cover its trouble',
  unknown: 'unknown: the upstream has said lately that there is no such image',
  refused: 'refused: no upstream is asked',
}

function* linesOf(explanation: Explanation, nowMs: number): Generator<Line> {
  const { upstream, chosenBy, digest, newestDigest, lastFailure } = explanation
  yield ['image', explanation.image]
  yield ['upstream', upstream === undefined ? choices[chosenBy] : `${upstream.name}, ${choices[chosenBy]}`]
  if (explanation.upstreamRepository !== undefined) yield ['known there as', explanation.upstreamRepository]
  if (explanation.storedRepository !== undefined) yield ['stored as', explanation.storedRepository]
  yield ['verdict', verdicts[explanation.verdict]]
  if (explanation.isReserved) yield ['because', 'the name is reserved for pushes (proxy.reserved)']
  if (!explanation.isAllowed) yield ['because', 'the upstream does not allow the repository (allow, deny)']
  if (explanation.stale !== undefined) yield ['stale because', explanation.stale]
  yield ['digest', digest ?? 'not known']
  if (newestDigest !== undefined && newestDigest !== digest)
    yield ['held back', `${newestDigest} is too young`]
  yield ['cached', formatCached(explanation, nowMs)]
  if (explanation.verdict !== 'pushed') yield* timesOf(explanation)
  for (const url of upstream?.urls ?? []) {
    yield [
      url.host,
      `circuit ${formatCircuit(url, nowMs)}, answered ${formatAgo(url.circuit.lastAnsweredAtMs, nowMs)}`,
    ]
    if (url.budget !== undefined) yield ['', `rate limit: ${formatBudget(url)}`]
  }
  if (lastFailure !== undefined) {
    const { failure, message, atMs } = lastFailure
    yield ['last failure', `${failure}, ${formatAgo(atMs, nowMs)}: ${message}`]
  }
  for (const [at, seen] of explanation.history.entries()) {
    const times = `first ${formatAgo(seen.firstSeenMs, nowMs)}, last ${formatAgo(seen.lastSeenMs, nowMs)}`
    yield [at === 0 ? 'history' : '', `${seen.digest} seen ${times}`]
  }
}

function* timesOf({ ageMs, ttlLeftMs, digest, stretch }: Explanation): Generator<Line> {
  if (digest === undefined) return
  if (ageMs !== undefined) yield ['confirmed', `${formatTime(ageMs)} ago`]
  const stretched =
    stretch > 1 ? ` (times are stretched by ${stretch.toFixed(1)}: the rate limit runs out)` : ''
  if (ttlLeftMs === undefined) yield ['expires', 'never']
  else yield ['expires', ttlLeftMs > 0 ? `in ${formatTime(ttlLeftMs)}${stretched}` : `it has${stretched}`]
}

function formatCached({ sizeBytes, lastUsedAtMs, isPinned }: Explanation, nowMs: number): string {
  if (sizeBytes === undefined) return isPinned ? 'no, but pinned' : 'no'
  const used = lastUsedAtMs === undefined ? '' : `, used ${formatAgo(lastUsedAtMs, nowMs)}`
  return `${formatBytes(sizeBytes)}${used}${isPinned ? ', pinned' : ''}`
}
