// Sends clients to a server that has the same tree as the store, such as a web server in front of it.
import type { RedirectConfig } from '../../config/middleware.ts'
import type { StorageDriver } from '../driver/driver.ts'
import { urlBelow } from './below.ts'

export function redirecting(inner: StorageDriver, { baseurl }: RedirectConfig): StorageDriver {
  return { ...inner, redirectUrl: path => Promise.resolve(urlBelow(baseurl, path)) }
}
