// Files that a crash in the middle of a write leaves: `<path>.<uuid>.tmp`, ours and distribution's alike. They have never
// got their name, so that nobody reads them; whoever is still writing one has begun less than a day ago.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { StorageDriver, StoragePath } from './driver/driver.ts'
import { layout } from './layout.ts'

const pattern = /\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/
const oldMs = 24 * 60 * 60 * 1000

/** Removes those older than a day, and returns how many there were. Looks at every file of the tree once. */
export async function removeTemporaryFiles(
  driver: StorageDriver,
  clock: Pick<Clock, 'now'>,
  options?: CallOptions,
): Promise<number> {
  let removed = 0
  for await (const { path, modifiedAtMs } of driver.walk(layout.root, options)) {
    if (!isTemporary(path) || clock.now() - modifiedAtMs < oldMs) continue
    await driver.remove(path, options)
    removed++
  }
  return removed
}

export function isTemporary(path: StoragePath): boolean {
  return pattern.test(path)
}
