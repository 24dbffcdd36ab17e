// What a kind of storage driver brings along: its configuration section, and how one is opened.
import type { Clock } from '../../clock.ts'
import type { Section } from '../../config/schema.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { StorageDriver } from './driver.ts'

/** What a driver and its wrappers are given. */
export interface DriverDeps {
  readonly metrics: Metrics
  readonly clock: Clock
  /** Default: nothing is logged. */
  readonly logger?: Logger | undefined
  /** For credentials that are given in the environment; default: empty. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

export interface DriverFactory<C> {
  /** The key below `storage` in the configuration, and the metrics' label. */
  readonly name: string
  /** The parameters below that key. */
  readonly section: Section<C>
  /** How many calls the driver is to be given at a time; undefined: as many as there are. */
  concurrency(config: C): number | undefined
  /** The bare driver, without wrappers; open.ts puts them on. */
  open(config: C, deps: DriverDeps): Promise<StorageDriver>
}
