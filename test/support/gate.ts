// A gate that a fake server's answers pass through, so that a test can stop one at an exact byte and go on when it
// has looked around.
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'

/** Where answers wait until a test lets them go on. */
export class Gate {
  #at: number | 'headers' | undefined
  #waiting = 0
  readonly #events = new EventEmitter().setMaxListeners(0)

  hold(at: number | 'headers'): void {
    this.#at = at
  }

  release(): void {
    this.#at = undefined
    this.#events.emit('release')
  }

  async reached(): Promise<void> {
    if (this.#waiting === 0) await once(this.#events, 'reached')
  }

  async passHeaders(res: ServerResponse): Promise<void> {
    if (this.#at === 'headers') await this.#wait(res)
  }

  async passBody(res: ServerResponse): Promise<void> {
    if (typeof this.#at === 'number') await this.#wait(res)
  }

  /** How far a body that has sent `sent` bytes may go on. */
  limit(sent: number): number {
    return typeof this.#at === 'number' ? Math.max(sent, this.#at) : Infinity
  }

  async #wait(res: ServerResponse): Promise<void> {
    this.#waiting++
    this.#events.emit('reached')
    await new Promise<void>(resolve => {
      this.#events.once('release', resolve)
      if (res.destroyed) resolve()
      else res.once('close', resolve)
    })
    this.#waiting--
  }
}
