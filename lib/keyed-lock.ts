// One at a time per key, in order of arrival. Holds an entry only for keys that are in use.
import type { CallOptions } from './oci/descriptor.ts'

export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>()

  /** Whether somebody works under this key, or waits to. */
  isBusy(key: string): boolean {
    return this.#tails.has(key)
  }

  /** Runs `work` under all of `keys`. They are taken in one order by everybody, so that nobody waits in a circle. */
  async runAll<T>(keys: Iterable<string>, work: () => Promise<T>, options?: CallOptions): Promise<T> {
    const [first, ...rest] = [...new Set(keys)].toSorted()
    if (first === undefined) return work()
    return this.run(first, () => this.runAll(rest, work, options), options)
  }

  /** Runs `work` when all earlier calls with this key have settled; aborting while waiting rejects, and skips it. */
  async run<T>(key: string, work: () => Promise<T>, { signal }: CallOptions = {}): Promise<T> {
    const before = this.#tails.get(key)
    let done = () => {}
    const mine = new Promise<void>(resolve => (done = resolve))
    const tail = before === undefined ? mine : before.then(() => mine)
    this.#tails.set(key, tail)
    try {
      if (before !== undefined) await abortable(before, signal)
      signal?.throwIfAborted()
      return await work()
    } finally {
      done()
      // Whoever gives up while waiting is not the last to be done: the entry stays until those before are, too.
      void tail.then(() => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key)
      })
    }
  }
}

/** Settles as `promise` does, or rejects with `signal.reason` if that comes first. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  })
  try {
    // The race handles `promise` also when nobody waits for it any more: its failure is no unhandled rejection.
    return await Promise.race([aborted, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
