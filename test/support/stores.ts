// The stores of a registry over a real driver with all its wrappers, and what tests need to look at or disturb them.
import { Readable } from 'node:stream'
import type { Test } from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { Stores } from '../../lib/registry/local.ts'
import { createBlobStore } from '../../lib/storage/blob-store.ts'
import {
  createDescriptorCache,
  noDescriptorCache,
  type DescriptorCache,
} from '../../lib/storage/descriptor-cache.ts'
import type { StorageDriver, StoragePath } from '../../lib/storage/driver/driver.ts'
import { openDriver } from '../../lib/storage/driver/open.ts'
import { layout } from '../../lib/storage/layout.ts'
import { createLinks } from '../../lib/storage/links.ts'
import { createManifestStore } from '../../lib/storage/manifest-store.ts'
import { MirroredContent } from '../../lib/storage/mirrored-content.ts'
import { RecentUses } from '../../lib/storage/recent-uses.ts'
import { createReferrerIndex } from '../../lib/storage/referrer-index.ts'
import { createTagStore } from '../../lib/storage/tag-store.ts'
import { Uploads } from '../../lib/storage/uploads.ts'

export type DriverKind = 'inmemory' | 'filesystem'

export const driverKinds: readonly DriverKind[] = ['inmemory', 'filesystem']

const silent = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })

/** A driver that ends with the test; the filesystem's lies in a folder of the test's own, or in `root`. */
export async function openTestDriver(
  t: Test,
  kind: DriverKind,
  options: { readonly root?: string; readonly clock?: Clock } = {},
): Promise<StorageDriver> {
  const deps = { clock: options.clock ?? systemClock, metrics: createMetrics() }
  const driver =
    kind === 'inmemory'
      ? await openDriver(kind, {}, deps)
      : await openDriver(kind, { rootdirectory: options.root ?? t.testdir({}), maxthreads: 100 }, deps)
  t.teardown(() => driver.close())
  return driver
}

/** The stores of one process over a driver. A second call over the same driver is a restart, or a second process. */
export function createStores(
  driver: StorageDriver,
  options: { readonly clock?: Clock; readonly cache?: DescriptorCache } = {},
): Stores {
  const { clock = systemClock, cache = createDescriptorCache(1000) } = options
  const mirroredContent = new MirroredContent({ driver, clock, logger: silent })
  mirroredContent.start()
  const uses = new RecentUses(clock)
  const blobs = createBlobStore({ driver, cache, mirroredContent, uses })
  const links = createLinks({ driver, cache, mirroredContent })
  const referrers = createReferrerIndex({ driver, blobs })
  return {
    driver,
    blobs,
    links,
    manifests: createManifestStore({ blobs, links, referrers }),
    mirroredContent,
    referrers,
    tags: createTagStore({ driver, concurrency: 4 }),
    uploads: new Uploads({ driver, blobs, links, clock, uses }),
    uses,
  }
}

/** Runs a test over each driver. */
export function onEachDriver(
  t: Test,
  name: string,
  test: (t: Test, driver: StorageDriver) => Promise<void>,
): void {
  for (const kind of driverKinds) {
    void t.test(`${name} (${kind})`, async t => test(t, await openTestDriver(t, kind)))
  }
}

export const uncached = { cache: noDescriptorCache }

/** The paths of all files in the tree, without its root `/docker/registry/v2`. */
export async function filesIn(driver: StorageDriver): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of driver.walk(layout.root)) paths.push(path.slice(layout.root.length))
  return paths
}

/** A request body that comes in these chunks and ends. */
export function bodyOf(...chunks: readonly (string | Uint8Array)[]): Readable {
  return Readable.from(
    chunks.map(chunk => Buffer.from(chunk)),
    { objectMode: false },
  )
}

/** A request body that breaks off with `err` after these chunks. */
export function brokenBodyOf(err: Error, ...chunks: readonly (string | Uint8Array)[]): Readable {
  const body = bodyOf(...chunks)
  async function* broken() {
    for await (const chunk of body) yield chunk as Buffer
    throw err
  }
  return Readable.from(broken(), { objectMode: false })
}

export interface DriverCall {
  readonly action: 'stat' | 'read' | 'readAll' | 'writeAll' | 'openWriter' | 'list' | 'move' | 'remove'
  readonly path: StoragePath
  readonly when: 'before' | 'after'
}

/** `inner`, with `hook` awaited around each call: there a test holds a call up, or lets it fail. */
export function hooked(
  inner: StorageDriver,
  hook: (call: DriverCall) => Promise<void> | void,
): StorageDriver {
  async function around<T>(
    action: DriverCall['action'],
    path: StoragePath,
    call: () => Promise<T>,
  ): Promise<T> {
    await hook({ action, path, when: 'before' })
    const result = await call()
    await hook({ action, path, when: 'after' })
    return result
  }
  return {
    name: inner.name,
    stat: (path, options) => around('stat', path, () => inner.stat(path, options)),
    read: (path, options) => around('read', path, () => inner.read(path, options)),
    readAll: (path, options) => around('readAll', path, () => inner.readAll(path, options)),
    writeAll: (path, bytes, options) => around('writeAll', path, () => inner.writeAll(path, bytes, options)),
    openWriter: (path, options) => around('openWriter', path, () => inner.openWriter(path, options)),
    list: (path, options) => around('list', path, () => inner.list(path, options)),
    walk: (prefix, options) => inner.walk(prefix, options),
    move: (from, to, options) => around('move', from, () => inner.move(from, to, options)),
    remove: (path, options) => around('remove', path, () => inner.remove(path, options)),
    close: () => inner.close(),
  }
}

/** A promise and its resolve(), to hold something up until a test has looked around. */
export function hold(): { readonly released: Promise<void>; readonly release: () => void } {
  let release = () => {}
  const released = new Promise<void>(resolve => (release = resolve))
  return { released, release }
}
