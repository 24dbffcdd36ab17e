// The maintenance of a store that no server works on, or that one works on of which we do not know.
import { systemClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { createLogger } from '../log.ts'
import type { CollectDeps } from '../maintenance/collection.ts'
import { createMetrics } from '../metrics.ts'
import { createStores, openConfiguredDriver } from '../services.ts'
import { version } from '../version.ts'

/** Whoever opens it closes it. */
export async function openMaintenance(config: Config): Promise<CollectDeps & { close(): Promise<void> }> {
  const metrics = createMetrics()
  const logger = createLogger({ level: 'error', formatter: 'text', fields: {} })
  const deps = { clock: systemClock, logger, metrics, version, env: {} }
  const driver = await openConfiguredDriver(config, deps)
  const uncached = {
    ...config,
    storage: { ...config.storage, cache: { blobdescriptor: undefined, blobdescriptorsize: 0 } },
  }
  const stores = createStores(uncached, driver, deps)
  return {
    stores,
    clock: systemClock,
    isMirror: config.proxy !== undefined,
    async close() {
      await stores.mirroredContent.close()
      await driver.close()
    },
  }
}
