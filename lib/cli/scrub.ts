// `registry scrub`: reads what is stored again, and tells what is damaged.
import { systemClock } from '../clock.ts'
import { parseSize } from '../config/units.ts'
import { compilePattern } from '../name-pattern.ts'
import { scrub, type ScrubEvent, type ScrubOptions, type ScrubReport } from '../maintenance/scrub.ts'
import { tellingFailures } from './failures.ts'
import type { Io } from './io.ts'
import { ask, findPlace, type FoundPlace, type Place } from './maintenance-client.ts'
import { openMaintenance } from './open-maintenance.ts'
import { formatBytes } from './quantities.ts'
import { printable } from './table.ts'

export interface ScrubCommandOptions extends Place {
  readonly repository?: string | undefined
  readonly rate?: string | undefined
  readonly dryRun?: boolean | undefined
  readonly refetch?: boolean | undefined
  readonly json?: boolean | undefined
}

/** Settles with the exit code: 1 also where something is damaged or missing. */
export function scrubStore(options: ScrubCommandOptions, io: Io): Promise<number> {
  return tellingFailures(io, async signal => {
    const settings = settingsOf(options)
    const place = await findPlace(options, io, { signal })
    if (settings.refetch && place.kind === 'offline')
      throw new Error('Cannot fetch anything again offline: a running server must do it')
    const found: ScrubEvent[] = []
    let report: ScrubReport | undefined
    for await (const event of eventsOf(place, { ...settings, signal })) {
      if (event.kind === 'done') report = event.report
      else if (event.kind === 'progress') showProgress(event, io)
      else if (options.json === true) found.push(event)
      else io.stdout.write(`${clearing(io)}${printable(textOf(event))}\n`)
    }
    io.stderr.write(clearing(io))
    if (report === undefined) throw new Error('Cannot complete scrub: the server has gone')
    if (options.json === true) io.stdout.write(`${JSON.stringify({ ...report, found }, undefined, 2)}\n`)
    else tell(report, io)
    return report.damaged + report.missing === 0 ? 0 : 1
  })
}

function settingsOf({
  repository,
  rate,
  dryRun,
  refetch,
}: ScrubCommandOptions): Omit<ScrubOptions, 'signal'> {
  const bytesPerSecond = rate === undefined ? undefined : parseSize(rate)
  if (rate !== undefined && !(bytesPerSecond !== undefined && bytesPerSecond > 0))
    throw new Error(`Cannot use --rate "${rate}": expected bytes per second, such as 50MB`)
  if (repository !== undefined) compilePattern(repository)
  return { repository, bytesPerSecond, dryRun: dryRun === true, refetch: refetch === true }
}

async function* eventsOf(
  place: FoundPlace,
  { signal, ...settings }: ScrubOptions,
): AsyncGenerator<ScrubEvent, void, undefined> {
  if (place.kind === 'server') {
    yield* ask(place.url, 'admin/maintenance/scrub', settings, { signal }) as AsyncGenerator<ScrubEvent>
    return
  }
  const { stores, close } = await openMaintenance(place.config)
  try {
    yield* scrub({ stores, clock: systemClock }, { ...settings, signal })
  } finally {
    await close()
  }
}

function textOf(event: Exclude<ScrubEvent, { readonly kind: 'done' | 'progress' }>): string {
  switch (event.kind) {
    case 'damaged':
      return `damaged: ${event.digest} (${formatBytes(event.size)}): ${event.found}${actions[event.action]}`
    case 'missing':
      return `missing: ${event.digest}, which a ${event.link} link of ${event.name} leads to`
    case 'warning':
      return `warning: ${event.message}`
    default:
      return event satisfies never
  }
}

const actions = { none: '', quarantined: '; quarantined', refetched: '; quarantined, and fetched again' }

function showProgress({ blobs, bytes }: { readonly blobs: number; readonly bytes: number }, io: Io): void {
  if (io.stderr.isTTY === true)
    io.stderr.write(`${clearing(io)}checked ${blobs} blobs, ${formatBytes(bytes)}`)
}

function clearing({ stderr }: Io): string {
  return stderr.isTTY === true ? '\r\x1b[K' : ''
}

function tell({ blobs, bytes, damaged, quarantined, missing }: ScrubReport, io: Io): void {
  io.stdout.write(
    `checked ${blobs} blobs (${formatBytes(bytes)}): ${damaged} damaged, ${quarantined} quarantined, ` +
      `${missing} links to what is not there\n`,
  )
}
