// A mirror in the test's own process: stores on a temporary folder, the real upstream client and a fake upstream on
// loopback. What a test needs to look at is handed out.
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import type { Test } from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { Digest } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { Fills, type FillEvent } from '../../lib/proxy/fills.ts'
import { defaultFreshness, type FreshnessPolicy } from '../../lib/proxy/freshness.ts'
import type { CooldownEvent } from '../../lib/proxy/held-back.ts'
import { keepEverything, type Keeping } from '../../lib/proxy/keeping.ts'
import { createPullThroughRegistry, type LookupEvent } from '../../lib/proxy/pull-through.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import type { BlobBody } from '../../lib/registry/registry.ts'
import type { TagPolicy } from '../../lib/registry/tag-policy.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { openDriver } from '../../lib/storage/driver/open.ts'
import { createMirroredTags } from '../../lib/storage/mirrored-tags.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import { RateBudget } from '../../lib/upstream/rate-budget.ts'
import { createStores } from './stores.ts'
import { startFakeUpstream, type FakeUpstreamOptions } from './fake-upstream.ts'
import { routeAllTo } from './route-all-to.ts'

export { openDescriptorsBelow } from './descriptors.ts'

export interface MirrorOptions extends FakeUpstreamOptions {
  readonly clock?: Clock
  readonly tagTtlMs?: number
  /** Over the defaults, and over `tagTtlMs`. */
  readonly freshness?: Partial<FreshnessPolicy>
  readonly offline?: boolean
  readonly tagPolicy?: TagPolicy
  /** False: nothing is kept. */
  readonly hasRoom?: boolean
  /** By what host the upstream goes: `docker.io` adds `library/`. */
  readonly upstreamHost?: string
  readonly wrapDriver?: (driver: StorageDriver) => StorageDriver
}

export const app = parseRepositoryName('team/app')

export async function startMirror(t: Test, options: MirrorOptions = {}) {
  const {
    clock = systemClock,
    tagTtlMs = 60_000,
    freshness = {},
    offline,
    upstreamHost = '127.0.0.1',
    wrapDriver,
    tagPolicy,
    hasRoom = true,
    ...behaviour
  } = options
  const upstream = await startFakeUpstream(t, behaviour)
  const logLines: string[] = []
  const logger = createLogger({
    level: 'debug',
    formatter: 'json',
    fields: {},
    write: line => void logLines.push(line),
  })
  const metrics = createMetrics()
  const root = t.testdir({})
  const opened = await openDriver('filesystem', { rootdirectory: root, maxthreads: 100 }, { clock, metrics })
  const driver = wrapDriver?.(opened) ?? opened
  const stores = createStores(driver, { clock })
  // Nothing is tried again, so that a test sees what each answer does.
  const client = createUpstream({
    ...{ url: upstream.url, clock, logger, metrics, version: 'test' },
    retries: 0,
    budget: new RateBudget({ clock }),
  })
  const events: MirrorEvent[] = []
  const observe = (event: MirrorEvent) => void events.push(event)
  const used: Digest[] = []
  const keeping: Keeping = {
    ...keepEverything,
    used: digest => void used.push(digest),
    makeRoom: () => Promise.resolve(hasRoom),
  }
  const fills = new Fills({ blobs: stores.blobs, keeping, clock, logger, observe })
  const local = createLocalRegistry(stores, { allowDelete: true, ...(tagPolicy && { tagPolicy }) })
  const start = (changed: StartOptions) => {
    const policy = { ...defaultFreshness(tagTtlMs), ...freshness, ...changed.freshness }
    const mirroredTags = createMirroredTags(driver)
    const registry = createPullThroughRegistry({
      ...{ local, stores, mirroredTags, fills, keeping, clock, logger, observe },
      routing: routeAllTo(client, upstreamHost, policy),
      offline: changed.offline ?? offline,
    })
    t.teardown(() => registry.drain(0))
    return { mirroredTags, registry, repository: registry.repository(app) }
  }
  const started = start({})
  t.teardown(async () => {
    await fills.drain(0)
    await client.close()
    await driver.close()
  })
  return {
    ...started,
    upstream,
    client,
    local,
    stores,
    fills,
    events,
    /** What the mirror has said to be in use. */
    used,
    logLines,
    root,
    driver,
    /** The registry as it is after a restart, on what is stored and with the same upstream. */
    restart: (changed: StartOptions = {}) => start(changed),
  }
}

type MirrorEvent = FillEvent | LookupEvent | CooldownEvent
type StartOptions = Pick<MirrorOptions, 'freshness' | 'offline'>

export type Mirror = Awaited<ReturnType<typeof startMirror>>

/** Opens a blob of the mirrored repository, reads all of it, and waits until what fetched it has settled. */
export async function pull(mirror: Mirror, digest: Digest): Promise<Buffer> {
  const bytes = await buffer(await (await openBytes(mirror, digest)).read())
  await mirror.fills.find(digest)?.settled
  return bytes
}

export async function openBytes(
  mirror: Mirror,
  digest: Digest,
): Promise<Extract<BlobBody, { kind: 'bytes' }>> {
  const body = await mirror.repository.blobs.open(digest)
  if (body.kind !== 'bytes') throw new Error('expected bytes')
  return body
}

/** Gives the event loop turns until `condition` holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

/** Every file under a folder that holds content, as paths relative to it. */
export function filesBelow(root: string): string[] {
  return fs
    .readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => `${entry.parentPath}/${entry.name}`.slice(root.length + 1))
    .toSorted()
}

export const mebibyte = 1024 * 1024
export const content = (sizeBytes: number) => randomBytes(sizeBytes)
