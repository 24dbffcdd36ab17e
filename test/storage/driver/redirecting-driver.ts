// A driver with the redirectUrl() capability, which none of the drivers on this machine has.
import type { StorageDriver } from '../../../lib/storage/driver/driver.ts'
import { faultyDriver } from '../../support/faulty-driver.ts'

/** `inner`, with URLs that lead nowhere but tell what was asked for. */
export function redirectingDriver(inner: StorageDriver): StorageDriver {
  return {
    ...faultyDriver(inner).driver,
    redirectUrl: async (path, expiresMs) => new URL(`http://store.test${path}?for=${expiresMs}`),
  }
}
