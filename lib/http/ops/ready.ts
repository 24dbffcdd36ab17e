// Readiness: whether requests should be sent here now. Unlike the polled checks it asks the store each time, though
// many who want to know at once share one question.
import type { StorageDriver } from '../../storage/driver/driver.ts'
import { describeError } from '../../log.ts'
import { askStorage } from './checks.ts'
import type { Health } from './health.ts'

/** What stands in the way, by check; empty if nothing does. */
export function createReadiness(
  health: Health,
  driver: StorageDriver,
): () => Promise<Readonly<Record<string, string>>> {
  let asking: Promise<Readonly<Record<string, string>>> | undefined
  const name = `storagedriver_${driver.name}`
  const ask = () =>
    (asking ??= askStorage(driver)
      .then(
        () => ({}),
        (err: unknown) => ({ [name]: describeError(err) }),
      )
      .finally(() => (asking = undefined)))
  return async () => {
    if (health.isDraining) return { draining: 'stopping: no more requests, please' }
    return { ...(await ask()), ...health.failing }
  }
}
