// Work that many ask for at once is done once. Nothing is remembered after it settled.
import { abortable } from './keyed-lock.ts'
import type { CallOptions } from './oci/descriptor.ts'

export class SingleFlight {
  readonly #inFlight = new Map<string, Promise<unknown>>()

  /**
   * The result of `work`, which runs unless the same key is at it already. The caller may leave by `signal`; the work
   * goes on for the others, so it must not be given that signal. Keys must name the type of their result.
   */
  async run<T>(key: string, work: () => Promise<T>, { signal }: CallOptions = {}): Promise<T> {
    let running = this.#inFlight.get(key) as Promise<T> | undefined
    if (running === undefined) {
      running = work().finally(() => this.#inFlight.delete(key))
      running.catch(() => {}) // Everybody who waited may have left.
      this.#inFlight.set(key, running)
    }
    return abortable(running, signal)
  }
}
