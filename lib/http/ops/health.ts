// Whether this registry is fit to serve: checks that are made from time to time, and an operator's word. While one
// fails nothing is served, so that a load balancer goes elsewhere. Checks succeed until they have been made.
import type { Clock } from '../../clock.ts'
import { describeError, type Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'

export interface Check {
  /** What operators see it under, and a label in metrics: as many as are configured. */
  readonly name: string
  readonly intervalMs: number
  /** Failures in a row from which on it counts as failing; 0 and 1: the first. */
  readonly threshold: number
  /** Rejects with what is wrong. */
  run(signal: AbortSignal): Promise<void>
}

export interface HealthDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'healthFailing'>
}

/** The name of distribution's check for the same. */
const byHand = 'manual_http_status'

export class Health {
  readonly #deps: HealthDeps
  readonly #failing = new Map<string, string>()
  readonly #stopping = new AbortController()
  #isDraining = false

  constructor(deps: HealthDeps) {
    this.#deps = deps
  }

  /** Makes these checks, each at its interval, the first time after one. */
  start(checks: readonly Check[]): void {
    for (const check of checks) {
      this.#deps.metrics.healthFailing.set({ check: check.name }, 0)
      void this.#poll(check)
    }
  }

  /** Asked for every request. */
  get isFailing(): boolean {
    return this.#failing.size > 0
  }

  /** What is wrong, by check; empty if nothing is. */
  get failing(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#failing)
  }

  /** Whether the registry is on its way out; it goes on to serve what comes. */
  get isDraining(): boolean {
    return this.#isDraining
  }

  drain(): void {
    this.#isDraining = true
  }

  /** Out of service, until bringUp(). */
  takeDown(): void {
    this.#report(byHand, 'taken out of service by hand')
  }

  bringUp(): void {
    this.#report(byHand, undefined)
  }

  stop(): void {
    this.#stopping.abort(new Error('Cannot check health: shutting down'))
  }

  async #poll(check: Check): Promise<void> {
    const { signal } = this.#stopping
    let failures = 0
    for (;;) {
      try {
        await this.#deps.clock.sleep(check.intervalMs, { signal })
      } catch {
        return
      }
      const problem = await problemOf(check, signal)
      if (signal.aborted) return
      failures = problem === undefined ? 0 : failures + 1
      if (failures === 0 || failures >= check.threshold) this.#report(check.name, problem)
    }
  }

  #report(name: string, problem: string | undefined): void {
    const { logger, metrics } = this.#deps
    const before = this.#failing.get(name)
    if (problem === undefined) this.#failing.delete(name)
    else this.#failing.set(name, problem)
    metrics.healthFailing.set({ check: name }, problem === undefined ? 0 : 1)
    if (problem !== undefined && before === undefined)
      logger.error({ check: name, problem }, 'health check fails: nothing is served')
    if (problem === undefined && before !== undefined)
      logger.warn({ check: name }, 'health check succeeds again')
  }
}

async function problemOf(check: Check, signal: AbortSignal): Promise<string | undefined> {
  try {
    await check.run(signal)
    return undefined
  } catch (err) {
    return describeError(err)
  }
}
