// The maintenance of one running registry: what operators start by hand, and what runs by the clock. One collection and
// one scrub at a time.
import type { Clock } from '../clock.ts'
import type { StorageConfig } from '../config/config.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Stores } from '../registry/local.ts'
import { removeTemporaryFiles } from '../storage/temporary-files.ts'
import type { CollectEvent, CollectOptions } from './collection.ts'
import { collectGarbage } from './garbage-collect.ts'
import { ReadOnlySwitch } from './read-only.ts'
import { startSchedule, type Schedule } from './schedule.ts'
import { scrub, type Refetch, type ScrubEvent, type ScrubOptions } from './scrub.ts'

export interface Maintenance {
  readonly readOnly: ReadOnlySwitch
  /** BusyError while another one runs. */
  collect(options: CollectOptions): AsyncGenerator<CollectEvent, void, undefined>
  /** BusyError while another one runs. */
  scrub(options: ScrubOptions): AsyncGenerator<ScrubEvent, void, undefined>
  /** Ends what is under way. Idempotent. */
  stop(): Promise<void>
}

export interface MaintenanceDeps {
  readonly stores: Stores
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** undefined: this registry is no mirror. */
  readonly refetch?: Refetch | undefined
}

/** Another one of the same kind runs. */
export class BusyError extends Error {
  override readonly name = 'BusyError'

  constructor(what: string) {
    super(`Cannot start ${what}: another one is running`)
  }
}

const scheduled = { dryRun: false, concurrency: 8, isVerbose: false }
const tidyMs = 24 * 60 * 60 * 1000

export function createMaintenance(config: StorageConfig['maintenance'], deps: MaintenanceDeps): Maintenance {
  const { clock, logger, metrics, stores } = deps
  const stopping = new AbortController()
  const running = new Set<string>()
  const isMirror = deps.refetch !== undefined

  async function* alone<E>(
    what: string,
    options: { readonly signal?: AbortSignal | undefined },
    work: (signal: AbortSignal) => AsyncGenerator<E, void, undefined>,
  ): AsyncGenerator<E, void, undefined> {
    if (running.has(what)) throw new BusyError(what)
    running.add(what)
    try {
      yield* work(
        AbortSignal.any([stopping.signal, ...(options.signal === undefined ? [] : [options.signal])]),
      )
    } finally {
      running.delete(what)
    }
  }

  const collect: Maintenance['collect'] = options =>
    alone('a garbage collection', options, async function* (signal) {
      for await (const event of collectGarbage({ stores, clock, isMirror }, { ...options, signal })) {
        if (event.kind === 'done') {
          metrics.collectedBytes.inc(event.report.removed.bytes)
          logger.info({ ...event.report }, 'garbage collection finished')
        }
        yield event
      }
    })

  const checked: Maintenance['scrub'] = options =>
    alone('a scrub', options, async function* (signal) {
      const observe = (event: { readonly kind: string; readonly bytes?: number }) =>
        event.kind === 'checked' ? metrics.scrubCheckedBytes.inc(event.bytes) : metrics.scrubDamaged.inc()
      for await (const event of scrub({ ...deps, observe }, { ...options, signal })) {
        if (event.kind === 'damaged') logger.error({ ...event }, 'stored content is damaged')
        if (event.kind === 'done') logger.info({ ...event.report }, 'scrub finished')
        yield event
      }
    })

  async function tidy(options: { readonly signal: AbortSignal }): Promise<void> {
    const removed = await removeTemporaryFiles(stores.driver, clock, options)
    if (removed > 0) logger.info({ files: removed }, 'removed temporary files that a crash had left')
  }

  const schedules: Schedule[] = []
  const every = (name: string, intervalMs: number, run: Parameters<typeof startSchedule>[0]['run']) =>
    schedules.push(startSchedule({ name, intervalMs, clock, logger, run }))
  if (!config.readonly.enabled) every('clean-up of temporary files', tidyMs, tidy)
  const { garbagecollect, scrub: scrubbing } = config
  if (garbagecollect.enabled) {
    const { untagged, graceMs } = garbagecollect
    every('garbage collection', garbagecollect.intervalMs, ({ signal }) =>
      finish(collect({ ...scheduled, untagged, graceMs, signal })),
    )
  }
  if (scrubbing.enabled) {
    const bytesPerSecond = scrubbing.rateBytes
    every('scrub', scrubbing.intervalMs, ({ signal }) =>
      finish(checked({ bytesPerSecond, dryRun: false, refetch: true, signal })),
    )
  }

  return {
    readOnly: new ReadOnlySwitch(config.readonly.enabled, { logger, metrics }),
    collect,
    scrub: checked,
    async stop() {
      stopping.abort(new Error('Cannot go on: shutting down'))
      await Promise.all(schedules.map(one => one.stop()))
    },
  }
}

async function finish(events: AsyncIterable<unknown>): Promise<void> {
  for await (const event of events) void event
}
