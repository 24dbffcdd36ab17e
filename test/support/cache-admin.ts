// A cache for tests of what operators see of it: kept in memory, it does to its lists what a real one does to its store.
// It is served by the real application for operators.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import type { CacheAdmin, CachedImage, CachePin, Explanation } from '../../lib/http/admin/cache-admin.ts'
import { imageFilter } from '../../lib/http/admin/image-filter.ts'
import { createDebugApp } from '../../lib/http/ops/debug-app.ts'
import { Health } from '../../lib/http/ops/health.ts'
import { createReadiness } from '../../lib/http/ops/ready.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { abortable } from '../../lib/keyed-lock.ts'
import { compilePattern } from '../../lib/name-pattern.ts'
import { formatImageReference } from '../../lib/oci/image-reference.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { openTestDriver } from './stores.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** A digest of its own for each word. */
export const digestFor = (word: string) => digestOf(Buffer.from(word))

export function cachedImage(
  repository: string,
  tag: string | undefined,
  more: Partial<CachedImage> = {},
): CachedImage {
  return {
    ...{
      repository,
      tag,
      digest: digestFor(`${repository}:${tag}`),
      sizeBytes: 1_234_000_000,
      isPinned: false,
    },
    ...{ lastUsedAtMs: systemClock.now() - 3 * hourMs - 1000, upstream: 'docker.io' },
    ...{ checkedAtMs: systemClock.now() - 45.5 * minuteMs, ttlLeftMs: 14_500 },
    ...more,
  }
}

export function createMemoryCache() {
  const images = [
    cachedImage('ghcr.io/team/app', 'v3', { upstream: 'ghcr.io', ttlLeftMs: undefined }),
    cachedImage('library/nginx', '1.27', { isPinned: true }),
    cachedImage('library/nginx', undefined, { checkedAtMs: undefined }),
  ]
  const pins: CachePin[] = [{ pattern: 'library/nginx:1.*', source: 'configuration' }]
  const urls = [
    {
      host: 'registry-1.docker.io',
      circuit: { kind: 'open', untilMs: systemClock.now() + 9.5 * minuteMs, lastFailure: 'no answer' },
      budget: { limit: 100, remaining: 76, windowMs: 6 * hourMs, observedAtMs: systemClock.now() },
    },
    {
      host: 'mirror.example',
      circuit: { kind: 'closed', lastAnsweredAtMs: systemClock.now() - 5.5 * minuteMs },
    },
  ] as const
  const explanation: Omit<Explanation, 'image'> = {
    ...{ chosenBy: 'host', upstream: { name: 'docker.io', urls } },
    ...{
      upstreamRepository: 'library/nginx',
      storedRepository: 'library/nginx',
      isAllowed: true,
      isReserved: false,
    },
    ...{
      verdict: 'expired',
      digest: digestFor('now'),
      newestDigest: digestFor('newest'),
      sizeBytes: 70_000_000,
    },
    ...{
      lastUsedAtMs: systemClock.now() - 2 * hourMs,
      isPinned: true,
      ageMs: 90_000,
      ttlLeftMs: 0,
      stretch: 1,
    },
    history: [
      {
        digest: digestFor('newest'),
        firstSeenMs: systemClock.now() - hourMs,
        lastSeenMs: systemClock.now() - 30.5 * minuteMs,
      },
    ],
    lastFailure: { failure: 'limited', message: 'answered 429', atMs: systemClock.now() - 10.5 * minuteMs },
    stale: 'upstream docker.io limited',
  }
  let whenWarmed = Promise.resolve()
  let warming = 0

  const cache: CacheAdmin = {
    async stats() {
      return {
        ...{ usedBytes: 12_300_000_000, entries: 1234, isComplete: true, pinnedBytes: 1_200_000_000 },
        limits: { maxBytes: 100e9, highBytes: 95e9, lowBytes: 85e9 },
        ...{ reservedBytes: 0, evictedBytes: 3e9, evictedCount: 12, servedBytes: 5e12, fillsRunning: 1 },
        upstreams: [{ name: 'docker.io', hits: 900, misses: 80, stale: 7, urls }],
      }
    },
    async *list(filter) {
      yield* images.filter(imageFilter(filter))
    },
    async du() {
      return {
        totalBytes: 3_000_000,
        repositories: [
          { name: 'ghcr.io/team/app', bytes: 1_000_000, exclusiveBytes: 900_000 },
          { name: 'library/nginx', bytes: 2_100_000 },
        ],
      }
    },
    pins: async () => [...pins],
    async pin(pattern) {
      compilePattern(pattern)
      pins.push({ pattern, source: 'operator' })
    },
    async unpin(pattern) {
      const at = pins.findIndex(pin => pin.pattern === pattern && pin.source === 'operator')
      if (at >= 0) pins.splice(at, 1)
      return at >= 0
    },
    async purge(image, { force = false, allTags = false } = {}) {
      const meant = images.filter(
        ({ repository, tag }) => repository === image.repository && (allTags || tag === image.tag),
      )
      const going = meant.filter(({ isPinned }) => force || !isPinned)
      for (const one of going) images.splice(images.indexOf(one), 1)
      const kept = meant.filter(one => !going.includes(one))
      return {
        removedBytes: going.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        removedCount: going.length,
        kept: kept.map(({ digest }) => ({ digest, reason: 'pinned' as const })),
      }
    },
    async *warm(request, { signal } = {}) {
      warming++
      try {
        for (const image of request.images.map(formatImageReference)) {
          const digest = digestFor(image)
          yield { kind: 'started', image }
          await abortable(whenWarmed, signal)
          if (image.includes('broken')) {
            yield { kind: 'failed', image, message: 'Cannot open\u001b[2J it: no such blob' }
            continue
          }
          const missing =
            request.platforms === 'all' ? [] : request.platforms.slice(1).map(one => one.architecture)
          yield { kind: 'resolved', image, digest, missing, manifests: 2, blobs: 2, totalBytes: 70_000_000 }
          yield { kind: 'blob', image, digest, sizeBytes: 20_000_000, outcome: 'present' }
          yield { kind: 'bytes', image, doneBytes: 35_000_000, totalBytes: 70_000_000 }
          yield { kind: 'blob', image, digest, sizeBytes: 50_000_000, outcome: 'fetched' }
          yield {
            kind: 'done',
            image,
            digest,
            fetchedBytes: 50_000_000,
            presentBytes: 20_000_000,
            elapsedMs: 3200,
          }
        }
      } finally {
        warming--
      }
    },
    explain: async image => ({ image: formatImageReference(image), ...explanation }),
    async fills() {
      return [
        {
          ...{
            digest: digestFor('fill'),
            repository: 'library/nginx',
            upstream: 'docker.io',
            startedAtMs: 1,
          },
          ...{ bytesStored: 5, size: 10, readers: 2, resumes: 0, bytesPerSecond: 100 },
        },
      ]
    },
  }
  return {
    cache,
    images,
    pins,
    explanation,
    /** How many warm-ups are going on. */
    get warming() {
      return warming
    },
    /** Lets no image become warm before the promise settles. */
    holdWarming: (until: Promise<void>) => (whenWarmed = until),
  }
}

/** Serves a cache, or with undefined a registry without one, on a free port of loopback; it ends with the test. */
export async function startAdminApp(t: Test, cache: CacheAdmin | undefined) {
  const logLines: string[] = []
  const write = (line: string) => void logLines.push(line)
  const metrics = createMetrics()
  const logger = createLogger({ level: 'info', formatter: 'json', fields: {}, write })
  const health = new Health({ clock: systemClock, logger, metrics })
  const app = createDebugApp({
    health,
    readiness: createReadiness(health, await openTestDriver(t, 'inmemory')),
    metrics,
    logger,
    prometheus: { enabled: false, path: '/metrics' },
    cache,
  })
  const handle = app.callback()
  const server = http.createServer((req, res) => void handle(req, res))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { server, port, url: `http://127.0.0.1:${port}`, logLines }
}
