// Whether clients may change anything at this moment: a switch that operators turn while the server runs.
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'

export class ReadOnlySwitch {
  readonly #logger: Logger
  readonly #metrics: Pick<Metrics, 'readOnly'>
  #isOn: boolean

  constructor(
    isOn: boolean,
    { logger, metrics }: { readonly logger: Logger; readonly metrics: Pick<Metrics, 'readOnly'> },
  ) {
    this.#isOn = isOn
    this.#logger = logger
    this.#metrics = metrics
    metrics.readOnly.set(Number(isOn))
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** Counts for requests that come from now on. */
  turn(isOn: boolean): void {
    if (isOn === this.#isOn) return
    this.#isOn = isOn
    this.#metrics.readOnly.set(Number(isOn))
    this.#logger.warn(isOn ? 'read-only from now on: writes are refused' : 'writes are accepted again')
  }
}
