// Fails fast while one URL cannot help, so that nobody waits for a name lookup, a connection or a timeout that others
// are waiting for already, and so that an upstream which has asked us to wait is not asked on. When it is open and
// when not, breaker.ts decides; here are the calls.
//
// A blob's call is answered when its headers are in. What a caller has cancelled shows nothing, nor does a call that
// has never left this process. When nobody answers, the calls that wait at that moment are given up along with those
// that come later. It takes a burst of requests no timeout to find that out: `stalledCalls` calls that wait for longer
// than `stalledMs`, while nothing at all comes in, are enough. Bytes of a body count as coming in, since calls may only
// be waiting for a place.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { Breaker, type BreakerOptions } from './breaker.ts'
import { UpstreamError } from './errors.ts'
import type { CircuitState, Upstream, UpstreamBody } from './upstream.ts'

export interface CircuitOptions extends BreakerOptions {
  /** Calls that wait at the same time, all for longer than `stalledMs`, and open the circuit. Default 10. */
  readonly stalledCalls?: number | undefined
  /** Milliseconds. Default 2 s; twice as long as the last answer took, if that is more. */
  readonly stalledMs?: number | undefined
}

/** An upstream that knows how it is doing. */
export interface GuardedUpstream extends Upstream {
  state(): CircuitState
}

/**
 * The same upstream, whose calls throw UpstreamError at once, with `retryAfterMs`, while it is known not to help:
 * `limited` if it wants us to wait, else `unavailable`.
 */
export function withCircuit(upstream: Upstream, options: CircuitOptions): GuardedUpstream {
  const circuit = new Circuit(upstream.name, options)
  return {
    name: upstream.name,
    statBlob: (name, digest, options = {}) =>
      circuit.run(signal => upstream.statBlob(name, digest, { ...options, signal }), options),
    openBlob: (name, digest, options = {}) =>
      circuit.runBody(signal => upstream.openBlob(name, digest, { ...options, signal }), options),
    manifest: (name, reference, options = {}) =>
      circuit.run(signal => upstream.manifest(name, reference, { ...options, signal }), options),
    statManifest: (name, reference, options = {}) =>
      circuit.run(signal => upstream.statManifest(name, reference, { ...options, signal }), options),
    referrers: (name, digest, options = {}) =>
      circuit.run(signal => upstream.referrers(name, digest, { ...options, signal }), options),
    tags: (name, options = {}) => circuit.run(signal => upstream.tags(name, { ...options, signal }), options),
    budget: () => upstream.budget?.(),
    state: () => circuit.state(),
    states: () => [{ host: upstream.name, circuit: circuit.state(), budget: upstream.budget?.() }],
    async close() {
      await circuit.close()
      await upstream.close()
    },
  }
}

class Circuit {
  readonly #clock: Clock
  readonly #breaker: Breaker
  readonly #stalledCalls: number
  readonly #stalledMs: number
  /** Calls without an answer so far, in the order of their beginning, with its instant. */
  readonly #waiting = new Map<AbortController, number>()
  readonly #closing = new AbortController()
  #watch: Promise<void> | undefined
  #lastAnswerTookMs = 0
  /** When last something came in: an answer, or bytes of a body. */
  #lastSignAtMs = 0

  constructor(name: string, { stalledCalls = 10, stalledMs = 2_000, ...options }: CircuitOptions) {
    this.#clock = options.clock
    this.#breaker = new Breaker(name, options)
    this.#stalledCalls = stalledCalls
    this.#stalledMs = stalledMs
  }

  state(): CircuitState {
    return this.#breaker.state()
  }

  /** The result of `ask`, whose signal aborts when the caller leaves or the call is given up. */
  async run<T>(ask: (signal: AbortSignal) => Promise<T>, { signal }: CallOptions): Promise<T> {
    const caller = new Departure(signal)
    try {
      return await this.#run(ask, caller.controller)
    } finally {
      caller.forget()
    }
  }

  /** The same for a body, which the caller can still break off when it has come. */
  async runBody(
    ask: (signal: AbortSignal) => Promise<UpstreamBody>,
    { signal }: CallOptions,
  ): Promise<UpstreamBody> {
    const caller = new Departure(signal)
    try {
      const body = await this.#run(ask, caller.controller)
      const noteSign = () => (this.#lastSignAtMs = this.#clock.now())
      return watched(body, noteSign, () => caller.forget())
    } catch (err) {
      caller.forget()
      throw err
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#watch
  }

  async #run<T>(ask: (signal: AbortSignal) => Promise<T>, call: AbortController): Promise<T> {
    const { signal } = call
    signal.throwIfAborted()
    this.#breaker.admit(call)
    const begunAtMs = this.#clock.now()
    this.#waiting.set(call, begunAtMs)
    this.#watchForStall()
    try {
      const result = await ask(signal).finally(() => this.#waiting.delete(call))
      this.#noteAnswer(begunAtMs)
      this.#breaker.answered(call)
      return result
    } catch (err) {
      if (signal.aborted || !(err instanceof UpstreamError) || !err.asked) {
        this.#breaker.left(call)
      } else {
        if (err.status !== undefined) this.#noteAnswer(begunAtMs)
        this.#breaker.failed(call, err)
        if (this.#breaker.isSilent) this.#giveUpWaiting()
      }
      throw err
    }
  }

  #noteAnswer(begunAtMs: number): void {
    this.#lastSignAtMs = this.#clock.now()
    this.#lastAnswerTookMs = this.#lastSignAtMs - begunAtMs
  }

  #giveUpWaiting(): void {
    const calls = [...this.#waiting.keys()]
    this.#waiting.clear()
    for (const call of calls) call.abort(this.#breaker.refusal())
  }

  /** One watch is enough for all calls; it ends when fewer wait than would open the circuit. */
  #watchForStall(): void {
    if (this.#watch !== undefined || this.#waiting.size < this.#stalledCalls) return
    this.#watch = this.#awaitStall().finally(() => (this.#watch = undefined))
  }

  async #awaitStall(): Promise<void> {
    while (this.#breaker.isClosed && this.#waiting.size >= this.#stalledCalls) {
      const nowMs = this.#clock.now()
      const patienceMs = Math.max(this.#stalledMs, 2 * this.#lastAnswerTookMs)
      const [begunAtMs = nowMs] = [...this.#waiting.values()].slice(this.#stalledCalls - 1)
      const leftMs = Math.max(begunAtMs, this.#lastSignAtMs) + patienceMs - nowMs
      if (leftMs <= 0) {
        this.#breaker.stalled(this.#waiting.size)
        return this.#giveUpWaiting()
      }
      try {
        await this.#clock.sleep(Math.min(leftMs, patienceMs), { signal: this.#closing.signal })
      } catch {
        return // Closing: there is nobody left to be told.
      }
    }
  }
}

/**
 * The signal of one call, with the caller's behind it. AbortSignal.any() would do the same, but leaves something
 * behind at a caller's signal that outlives the call.
 */
class Departure {
  readonly controller = new AbortController()
  readonly #signal: AbortSignal | undefined
  readonly #leave = () => this.controller.abort(this.#signal?.reason)

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
    if (signal?.aborted) this.#leave()
    else signal?.addEventListener('abort', this.#leave, { once: true })
  }

  forget(): void {
    this.#signal?.removeEventListener('abort', this.#leave)
  }
}

/** A body that tells of each batch, and of its end or disposal at least once. */
function watched(body: UpstreamBody, onBatch: () => void, onEnd: () => void): UpstreamBody {
  return {
    size: body.size,
    async *[Symbol.asyncIterator]() {
      try {
        for await (const batch of body) {
          onBatch()
          yield batch
        }
      } finally {
        onEnd()
      }
    },
    async dispose() {
      onEnd()
      await body.dispose()
    },
  }
}
