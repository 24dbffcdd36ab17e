// Observes how long each call of a driver takes, under the action names that distribution's metrics have, and tells
// whoever traces of it. Failed
// calls count too. walk() is not an action: it takes as long as its caller does.
import type { Metrics } from '../../../metrics.ts'
import type { CallOptions } from '../../../oci/descriptor.ts'
import { storageCalls } from '../../../tracing/channels.ts'
import type { StorageDriver, StoragePath } from '../driver.ts'

/** `inner`, its calls observed in `metrics.storageAction`. */
export function measured(inner: StorageDriver, metrics: Metrics): StorageDriver {
  const { name } = inner
  const redirectUrl = inner.redirectUrl?.bind(inner)
  const openReader = inner.openReader?.bind(inner)

  function timed(action: string): <T>(call: () => Promise<T>) => Promise<T> {
    const timer = metrics.storageAction.labels(name, action)
    return async call => {
      const stop = timer.startTimer()
      try {
        if (!storageCalls.hasSubscribers) return await call()
        return await storageCalls.tracePromise(call, { driver: name, action })
      } finally {
        stop()
      }
    }
  }

  const [stat, getContent, putContent] = [timed('Stat'), timed('GetContent'), timed('PutContent')]
  const [reader, writer, list] = [timed('Reader'), timed('Writer'), timed('List')]
  const [move, remove, redirect] = [timed('Move'), timed('Delete'), timed('RedirectURL')]

  return {
    name,
    stat: (path, options) => stat(() => inner.stat(path, options)),
    read: (path, options) => reader(() => inner.read(path, options)),
    readAll: (path, options) => getContent(() => inner.readAll(path, options)),
    writeAll: (path, content, options) => putContent(() => inner.writeAll(path, content, options)),
    openWriter: (path, options) => writer(() => inner.openWriter(path, options)),
    list: (path, options) => list(() => inner.list(path, options)),
    walk: (prefix, options) => inner.walk(prefix, options),
    move: (from, to, options) => move(() => inner.move(from, to, options)),
    remove: (path, options) => remove(() => inner.remove(path, options)),
    close: () => inner.close(),
    ...(openReader && {
      openReader: (path: StoragePath, options?: CallOptions) => reader(() => openReader(path, options)),
    }),
    ...(redirectUrl && {
      redirectUrl: (path: StoragePath, expiresMs: number) => redirect(() => redirectUrl(path, expiresMs)),
    }),
  }
}
