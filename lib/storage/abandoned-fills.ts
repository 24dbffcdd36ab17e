// What a crash leaves behind: the staged content of fills that will never end. Another process may share the
// directory, so that only what nobody has written to for long is taken for abandoned. A running fill writes, or
// fails, long before: its upstream has minutes to send something.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { StorageDriver, StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { layout } from './layout.ts'

const idleMs = 24 * 60 * 60 * 1000

/** Removes the abandoned fills and returns how many there were. */
export async function removeAbandonedFills(
  driver: StorageDriver,
  clock: Clock,
  options?: CallOptions,
): Promise<number> {
  const fills = (await unlessAbsent(() => driver.list(layout.fills, options))) ?? []
  let removed = 0
  for (const fill of fills) {
    const changedAtMs = await lastChange(driver, fill, options)
    if (changedAtMs === undefined || clock.now() - changedAtMs < idleMs) continue
    await driver.remove(fill, options)
    removed++
  }
  return removed
}

/** Of the folder or what is in it, whichever was later; undefined if it has gone. */
async function lastChange(
  driver: StorageDriver,
  fill: StoragePath,
  options?: CallOptions,
): Promise<number | undefined> {
  let latest = (await unlessAbsent(() => driver.stat(fill, options)))?.modifiedAtMs
  for await (const { modifiedAtMs } of driver.walk(fill, options))
    latest = Math.max(latest ?? 0, modifiedAtMs)
  return latest
}
