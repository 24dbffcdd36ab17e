// `registry garbage-collect`: prints what a collection marks and removes, in the words that scripts know.
import type { CollectEvent, CollectOptions, CollectReport } from '../maintenance/collection.ts'
import { collectGarbage } from '../maintenance/garbage-collect.ts'
import { parseDuration } from '../config/units.ts'
import { layout } from '../storage/layout.ts'
import { unlessAbsent } from '../storage/driver/unless-absent.ts'
import { tellingFailures } from './failures.ts'
import type { Io } from './io.ts'
import { ask, findPlace, type FoundPlace, type Place } from './maintenance-client.ts'
import { openMaintenance } from './open-maintenance.ts'
import { formatBytes } from './quantities.ts'
import { printable } from './table.ts'

export interface GarbageCollectOptions extends Place {
  readonly dryRun?: boolean | undefined
  readonly deleteUntagged?: boolean | undefined
  readonly quiet?: boolean | undefined
  readonly json?: boolean | undefined
  readonly concurrency?: string | undefined
  readonly grace?: string | undefined
}

/** A server of which we do not know goes by the age of files, and clocks are not that exact. */
const leastOfflineGraceMs = 2000

/** Settles with the exit code. */
export function garbageCollect(options: GarbageCollectOptions, io: Io): Promise<number> {
  return tellingFailures(io, async signal => {
    const settings = settingsOf(options)
    const place = await findPlace(options, io, { signal })
    let report: CollectReport | undefined
    for await (const event of eventsOf(place, { ...settings, signal })) {
      if (event.kind === 'done') report = event.report
      else if (event.kind === 'warning') io.stderr.write(`warning: ${printable(event.message)}\n`)
      else if (settings.isVerbose) io.stdout.write(printable(textOf(event)).replace(/^\?/, '\n') + '\n')
    }
    if (report === undefined) throw new Error('Cannot complete garbage collection: the server has gone')
    if (options.json === true) io.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
    else tell(report, io)
    return 0
  })
}

type Settings = Omit<CollectOptions, 'signal'>

function settingsOf(options: GarbageCollectOptions): Settings {
  const graceMs = parseDuration(options.grace ?? '1h')
  if (graceMs === undefined || graceMs < 0)
    throw new Error(`Cannot use --grace "${options.grace}": expected a duration such as 1h`)
  const concurrency = Number(options.concurrency ?? 8)
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256)
    throw new Error(`Cannot use --concurrency "${options.concurrency}": expected a number from 1 to 256`)
  return {
    dryRun: options.dryRun === true,
    untagged: options.deleteUntagged === true,
    graceMs,
    concurrency,
    isVerbose: options.quiet !== true && options.json !== true,
  }
}

async function* eventsOf(
  place: FoundPlace,
  { signal, ...settings }: CollectOptions,
): AsyncGenerator<CollectEvent, void, undefined> {
  if (place.kind === 'server') {
    yield* ask(place.url, 'admin/maintenance/garbage-collect', settings, {
      signal,
    }) as AsyncGenerator<CollectEvent>
    return
  }
  const { close, ...deps } = await openMaintenance(place.config)
  try {
    const { driver } = deps.stores
    // Most likely another directory was meant.
    if (
      (await unlessAbsent(() => driver.stat(layout.repositories))) === undefined &&
      driver.name === 'filesystem'
    )
      throw new Error(`Cannot collect garbage: there is no "${layout.repositories}" in the storage`)
    const graceMs = Math.max(settings.graceMs, leastOfflineGraceMs)
    yield* collectGarbage(deps, { ...settings, graceMs, signal })
  } finally {
    await close()
  }
}

function textOf(event: Exclude<CollectEvent, { readonly kind: 'done' | 'warning' }>): string {
  switch (event.kind) {
    case 'repository':
      return event.name
    case 'manifest-marked':
      return `${event.name}: marking manifest ${event.digest} `
    case 'blob-marked':
      return `${event.name}: marking blob ${event.digest}`
    case 'manifest-eligible':
      return `manifest eligible for deletion: {${event.name} ${event.digest} [${event.tags.join(' ')}]}`
    case 'planned': {
      const { marked, blobs, manifests } = event
      return `\n${marked} blobs marked, ${blobs} blobs and ${manifests} manifests eligible for deletion`
    }
    case 'blob-eligible':
      return `blob eligible for deletion: ${event.digest}`
    case 'link-eligible':
      return `${event.name}: layer link eligible for deletion: ${event.digest}`
    default:
      return event satisfies never
  }
}

function tell({ dryRun, removed, retained }: CollectReport, io: Io): void {
  if (dryRun) return
  const { blobs, bytes, manifests, layerLinks } = removed
  const rest = retained === 0 ? '' : `; kept ${retained} that were needed again`
  io.stderr.write(
    `removed ${blobs} blobs (${formatBytes(bytes)}), ${manifests} manifests, ${layerLinks} layer links${rest}\n`,
  )
}
