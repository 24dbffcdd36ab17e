// One endpoint: what it is not to hear of, and the loop that delivers what waits for it, strictly one after the other,
// each as often as it takes.
import { setMaxListeners } from 'node:events'
import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import type { EndpointConfig } from '../config/notifications.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { RegistryEvent } from './event.ts'
import type { EventQueue } from './event-queue.ts'
import { deliver, formatStatus } from './post.ts'

export interface EndpointDeps {
  readonly queue: EventQueue
  readonly dispatcher: Dispatcher
  readonly userAgent: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** While it goes on failing it is said again this often. */
const logEveryMs = 60_000

export class Endpoint {
  readonly #config: EndpointConfig
  readonly #deps: EndpointDeps
  readonly #ignored: { readonly mediaTypes: ReadonlySet<string>; readonly actions: ReadonlySet<string> }
  readonly #stopping = new AbortController()
  #isDraining = false
  /** In a row. */
  #failures = 0
  #loggedAtMs = -Infinity
  #running: Promise<void> | undefined

  constructor(config: EndpointConfig, deps: EndpointDeps) {
    this.#config = config
    this.#deps = deps
    const { mediatypes, actions } = config.ignore
    this.#ignored = { mediaTypes: new Set(mediatypes), actions: new Set(actions) }
    setMaxListeners(0, this.#stopping.signal)
  }

  get name(): string {
    return this.#config.name
  }

  get queue(): EventQueue {
    return this.#deps.queue
  }

  /** Whether it wants to hear of this. */
  wants({ action, target }: RegistryEvent): boolean {
    return !this.#ignored.actions.has(action) && !this.#ignored.mediaTypes.has(target.mediaType ?? '')
  }

  /** Never throws, never waits. */
  enqueue(envelope: string): void {
    this.#count('Events')
    this.queue.push(envelope)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Delivers what waits while that goes well, for `graceMs` at most; then it stops. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true
    const graceOver = new AbortController()
    if (this.queue.length > 0 && this.#failures === 0 && graceMs > 0) {
      await Promise.race([
        this.#running,
        this.#deps.clock.sleep(graceMs, { signal: graceOver.signal }).catch(() => {}),
      ])
    }
    graceOver.abort()
    this.#stopping.abort(new Error('Cannot deliver: shutting down'))
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted && !(this.#isDraining && this.queue.length === 0)) {
      const envelope = await this.queue.first({ signal }).catch(() => undefined)
      if (envelope === undefined) return
      if (await this.#try(envelope)) {
        this.queue.removeFirst()
        continue
      }
      if (this.#isDraining) return
      if (this.#failures >= this.#config.threshold) {
        await this.#deps.clock.sleep(this.#config.backoffMs, { signal }).catch(() => {})
      }
    }
  }

  async #try(body: string): Promise<boolean> {
    const { dispatcher, userAgent, metrics } = this.#deps
    const { name, url, headers, timeoutMs } = this.#config
    const timeout = AbortSignal.timeout(timeoutMs)
    const signal = AbortSignal.any([this.#stopping.signal, timeout])
    try {
      const answer = await deliver({ url, headers, userAgent, body, dispatcher, signal })
      metrics.notificationStatus.inc({ endpoint: name, code: formatStatus(answer.status) })
      if (answer.isAccepted) {
        this.#count('Successes')
        this.#noteSuccess()
        return true
      }
      this.#count('Failures')
      this.#noteFailure(new Error(`Cannot deliver: answered ${formatStatus(answer.status)}`))
    } catch (err) {
      if (this.#stopping.signal.aborted) return false
      this.#count('Errors')
      this.#noteFailure(timeout.aborted ? new Error(`Cannot deliver: no answer within ${timeoutMs} ms`) : err)
    }
    return false
  }

  #noteSuccess(): void {
    if (this.#failures > 0)
      this.#deps.logger.info({ endpoint: this.name }, 'notifications are delivered again')
    this.#failures = 0
    this.#loggedAtMs = -Infinity
  }

  #noteFailure(err: unknown): void {
    const { clock, logger } = this.#deps
    this.#failures++
    const nowMs = clock.now()
    if (Math.abs(nowMs - this.#loggedAtMs) < logEveryMs) return
    this.#loggedAtMs = nowMs
    const fields = { err, endpoint: this.name, pending: this.queue.length, failures: this.#failures }
    logger.error(fields, 'retryingsink: error writing event, retrying')
  }

  #count(type: 'Events' | 'Successes' | 'Failures' | 'Errors'): void {
    this.#deps.metrics.notificationEvents.inc({ endpoint: this.name, type })
  }
}
