// The images in the store of a configuration, without a server, for the commands that bring some in or take some out.
import { systemClock } from './clock.ts'
import type { Config } from './config/config.ts'
import { createLogger } from './log.ts'
import { createMetrics } from './metrics.ts'
import { assembleMirror } from './mirror.ts'
import { readOnly } from './offline-cache.ts'
import { createLocalRegistry } from './registry/local.ts'
import { createManifestRules, type ManifestRules } from './registry/manifest-rules.ts'
import type { Registry } from './registry/registry.ts'
import { createTagPolicy } from './registry/tag-policy.ts'
import { createStores, openConfiguredDriver } from './services.ts'
import type { StorageDriver } from './storage/driver/driver.ts'
import { version } from './version.ts'

export interface StoredImages {
  readonly registry: Registry
  close(): Promise<void>
}

/**
 * To be read: what was pushed, and what is cached of upstreams, none of which is asked. Nothing is written, save the
 * index of referrers where a repository has none yet.
 */
export async function openStoredImages(config: Config): Promise<StoredImages> {
  const deps = quietDeps()
  const driver = indexable(await openConfiguredDriver(config, deps))
  const stores = createStores(config, driver, deps)
  const local = createLocalRegistry(stores, { allowDelete: false })
  if (config.proxy === undefined) return { registry: local, close: () => driver.close() }
  const parts = assembleMirror({ ...config.proxy, offline: true }, local, stores, deps)
  return {
    registry: parts.registry,
    async close() {
      await parts.registry.drain(0)
      await parts.registries.close()
      await stores.mirroredContent.close()
      await driver.close()
    },
  }
}

/**
 * To be added to, under the rules of the configuration, save that children of an index may be missing if `isSparse`.
 * Throws TypeError where the configuration is for reading alone.
 */
export async function openStoreForPushes(config: Config, isSparse: boolean): Promise<StoredImages> {
  if (config.storage.maintenance.readonly.enabled)
    throw new TypeError('Cannot change the store: storage.maintenance.readonly is set')
  const deps = quietDeps()
  const driver = await openConfiguredDriver(config, deps)
  const stores = createStores(config, driver, deps)
  const rules = createManifestRules(config.validation)
  const registry = createLocalRegistry(stores, {
    allowDelete: false,
    manifestRules: isSparse ? withoutChildren(rules) : rules,
    tagPolicy: createTagPolicy(config.policy.tags.immutable),
  })
  return {
    registry,
    async close() {
      await stores.mirroredContent.close()
      await driver.close()
    },
  }
}

/** To be read only. Whoever first asks for the referrers in a repository has them indexed; nothing else depends on that. */
function indexable(driver: StorageDriver): StorageDriver {
  const closed = readOnly(driver)
  return {
    ...closed,
    writeAll: (path, ...rest) =>
      path.includes('/_referrers/') ? driver.writeAll(path, ...rest) : closed.writeAll(path, ...rest),
  }
}

function withoutChildren(rules: ManifestRules): ManifestRules {
  return { check: content => ({ ...rules.check(content), manifests: [] }) }
}

function quietDeps() {
  const logger = createLogger({ level: 'error', formatter: 'text', fields: {} })
  return { clock: systemClock, logger, metrics: createMetrics(), version, env: {} }
}
