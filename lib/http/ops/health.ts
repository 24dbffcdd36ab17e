// Readiness: whether requests can be served, which is whether the store answers.
import type { StorageDriver, StoragePath } from '../../storage/driver/driver.ts'

const root = '/' as StoragePath
const timeoutMs = 5000

/** What is wrong, by check; empty if nothing is. */
export async function failingChecks(driver: StorageDriver): Promise<Readonly<Record<string, string>>> {
  try {
    await driver.stat(root, { signal: AbortSignal.timeout(timeoutMs) })
    return {}
  } catch (err) {
    return { storagedriver: err instanceof Error ? err.message : String(err) }
  }
}
