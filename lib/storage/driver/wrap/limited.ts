// Gives a driver at most so many calls at a time, in the order they came; distribution calls this `maxthreads`.
// A call ends when its promise settles: what is read from an open stream or written to an open writer does not
// count, nor does walk(), or a reader that waits for a writer would keep that writer from ever being opened.
import type { CallOptions } from '../../../oci/descriptor.ts'
import type { StorageDriver, StoragePath } from '../driver.ts'

/** `inner`, called at most `limit` times at once. A call that is aborted while it waits leaves the queue. */
export function limited(inner: StorageDriver, limit: number): StorageDriver {
  const turns = new Turns(limit)
  const redirectUrl = inner.redirectUrl?.bind(inner)
  const openReader = inner.openReader?.bind(inner)
  return {
    name: inner.name,
    stat: (path, options) => turns.run(() => inner.stat(path, options), options?.signal),
    read: (path, options) => turns.run(() => inner.read(path, options), options?.signal),
    readAll: (path, options) => turns.run(() => inner.readAll(path, options), options?.signal),
    writeAll: (path, content, options) =>
      turns.run(() => inner.writeAll(path, content, options), options?.signal),
    openWriter: (path, options) => turns.run(() => inner.openWriter(path, options), options?.signal),
    list: (path, options) => turns.run(() => inner.list(path, options), options?.signal),
    walk: (prefix, options) => inner.walk(prefix, options),
    move: (from, to, options) => turns.run(() => inner.move(from, to, options), options?.signal),
    remove: (path, options) => turns.run(() => inner.remove(path, options), options?.signal),
    close: () => inner.close(),
    ...(openReader && {
      openReader: (path: StoragePath, options?: CallOptions) =>
        turns.run(() => openReader(path, options), options?.signal),
    }),
    ...(redirectUrl && {
      redirectUrl: (path: StoragePath, expiresMs: number) => turns.run(() => redirectUrl(path, expiresMs)),
    }),
  }
}

class Turns {
  #free: number
  readonly #waiting = new Set<() => void>()

  constructor(limit: number) {
    this.#free = limit
  }

  async run<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#free > 0) this.#free--
    else await this.#turn(signal)
    try {
      return await call()
    } finally {
      this.#passOn()
    }
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const start = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        this.#waiting.delete(start)
        reject(signal?.reason as Error)
      }
      this.#waiting.add(start)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  // The next call takes over the turn, so that no newcomer can slip in between.
  #passOn(): void {
    for (const start of this.#waiting) {
      this.#waiting.delete(start)
      start()
      return
    }
    this.#free++
  }
}
