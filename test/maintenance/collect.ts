// Runs a collection in a test, and looks whether what clients can reach is whole.
import { systemClock, type Clock } from '../../lib/clock.ts'
import type { CollectEvent, CollectOptions, CollectReport } from '../../lib/maintenance/collection.ts'
import { collectGarbage } from '../../lib/maintenance/garbage-collect.ts'
import type { Stores } from '../../lib/registry/local.ts'

export interface Collected {
  readonly report: CollectReport
  readonly events: readonly CollectEvent[]
}

export async function collect(
  stores: Stores,
  options: Partial<CollectOptions> & {
    readonly clock?: Pick<Clock, 'now'>
    readonly isMirror?: boolean
  } = {},
): Promise<Collected> {
  const { clock = systemClock, isMirror = false, ...rest } = options
  const events: CollectEvent[] = []
  const defaults = { dryRun: false, untagged: false, graceMs: 3_600_000, concurrency: 4, isVerbose: true }
  for await (const event of collectGarbage({ stores, clock, isMirror }, { ...defaults, ...rest }))
    events.push(event)
  const last = events.at(-1)
  if (last?.kind !== 'done') throw new Error('a collection has no report')
  return { report: last.report, events }
}
