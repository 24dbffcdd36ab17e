// The onion around every driver: measured outside, so that waiting counts; then the checks; the limit inside.
import type { StorageDriver } from './driver.ts'
import { drivers, type DriverConfigs, type DriverName } from './drivers.ts'
import type { DriverDeps, DriverFactory } from './factory.ts'
import { checked } from './wrap/checked.ts'
import { limited } from './wrap/limited.ts'
import { measured } from './wrap/measured.ts'

const factories: { readonly [N in DriverName]: DriverFactory<DriverConfigs[N]> } = drivers

/** Opens the driver called `name` with all its wrappers. The caller closes it. */
export async function openDriver<N extends DriverName>(
  name: N,
  config: DriverConfigs[N],
  deps: DriverDeps,
): Promise<StorageDriver> {
  const factory = factories[name]
  const driver = await factory.open(config, deps)
  const limit = factory.concurrency(config)
  return measured(checked(limit === undefined ? driver : limited(driver, limit)), deps.metrics)
}
