// The cache of a store that no server need work on, for the commands that only look. Nothing is started, no upstream is
// asked, and nothing is written: a server may be at work on the same store.
import { systemClock } from './clock.ts'
import type { Config } from './config/config.ts'
import { AdminError, type CacheAdmin } from './http/admin/cache-admin.ts'
import { createLogger } from './log.ts'
import { createMetrics } from './metrics.ts'
import { assembleMirror, limitsOf } from './mirror.ts'
import { createCacheAdmin } from './mirror-admin.ts'
import { createLocalRegistry } from './registry/local.ts'
import { createStores, openConfiguredDriver } from './services.ts'
import { StorageError, type StorageDriver, type StoragePath } from './storage/driver/driver.ts'
import { version } from './version.ts'

/** Throws TypeError where nothing is mirrored. Whoever opens it closes it. */
export async function openOfflineCache(config: Config): Promise<CacheAdmin & { close(): Promise<void> }> {
  const { proxy } = config
  if (proxy === undefined) throw new TypeError('Cannot open the cache: nothing is mirrored')
  const metrics = createMetrics()
  const logger = createLogger({ level: 'error', formatter: 'text', fields: {} })
  const deps = { clock: systemClock, logger, metrics, version, env: {} }
  const driver = readOnly(await openConfiguredDriver(config, deps))
  const stores = createStores(config, driver, deps)
  const local = createLocalRegistry(stores, { allowDelete: false })
  const parts = assembleMirror({ ...proxy, offline: true }, local, stores, deps)
  await Promise.all([stores.mirroredContent.loaded(), parts.recency.load()])
  const admin = createCacheAdmin(parts, {
    stores,
    metrics,
    limits: limitsOf(proxy.cache),
    isOffline: true,
  })
  return {
    ...admin,
    pin: refuse,
    unpin: refuse,
    purge: refuse,
    warm: () => {
      throw notOffline()
    },
    async close() {
      await parts.registry.drain(0)
      await parts.registries.close()
      await stores.mirroredContent.close()
      await driver.close()
    },
  }
}

/**
 * Whoever reads all markers clears away those without content: a server that is just storing that content needs them.
 */
export function readOnly(driver: StorageDriver): StorageDriver {
  const refuseWrite = (path: StoragePath): Promise<never> =>
    Promise.reject(new StorageError(`Cannot change "${path}": the store is open to be read only`, path))
  return {
    name: driver.name,
    stat: (...args) => driver.stat(...args),
    read: (...args) => driver.read(...args),
    readAll: (...args) => driver.readAll(...args),
    list: (...args) => driver.list(...args),
    walk: (...args) => driver.walk(...args),
    writeAll: refuseWrite,
    openWriter: refuseWrite,
    move: refuseWrite,
    remove: refuseWrite,
    close: () => driver.close(),
  }
}

function refuse(): Promise<never> {
  return Promise.reject(notOffline())
}

function notOffline(): AdminError {
  return new AdminError('NOT_SUPPORTED', 'Cannot do this offline: a running server must do it')
}
