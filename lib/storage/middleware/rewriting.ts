// Changes the URLs that a driver sends clients to: another scheme or host, and a path without its beginning.
import type { RewriteConfig } from '../../config/middleware.ts'
import type { StorageDriver } from '../driver/driver.ts'

/** A driver without URLs stays as it is. */
export function rewriting(inner: StorageDriver, config: RewriteConfig): StorageDriver {
  const { redirectUrl } = inner
  if (redirectUrl === undefined) return inner
  return {
    ...inner,
    redirectUrl: async (path, expiresMs, client) =>
      rewritten(await redirectUrl(path, expiresMs, client), config),
  }
}

function rewritten({ protocol, host, pathname, search }: URL, config: RewriteConfig): URL {
  const { scheme = protocol.replace(/:$/, ''), host: wanted = host, trimpathprefix: prefix = '' } = config
  const path = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : pathname
  return new URL(`${scheme}://${wanted}${path.startsWith('/') ? '' : '/'}${path}${search}`)
}
