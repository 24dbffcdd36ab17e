// The table: medians of all rounds, how many times better the first peer is than the second, and the change since the
// run before. All results are kept as JSON.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Medians by workload and peer, out of results by workload and peer. */
export function summarize(results) {
  const summary = {}
  for (const [workload, byPeer] of results) {
    summary[workload] = Object.fromEntries([...byPeer].map(([peer, all]) => [peer, medianOf(all)]))
  }
  return summary
}

/** The lines of the table. `peers` are names, ours first. */
export function formatTable(summary, peers, previous) {
  const [ours, reference] = peers
  const head = [
    'workload',
    ...peers,
    reference === undefined ? '' : 'times better',
    'since last run',
    'notes',
  ]
  const rows = Object.entries(summary).map(([workload, byPeer]) => [
    workload,
    ...peers.map(peer => formatCell(byPeer[peer])),
    reference === undefined ? '' : formatRatio(byPeer[ours], byPeer[reference]),
    formatChange(byPeer[ours], previous?.[workload]?.[ours]),
    peers
      .map(peer => byPeer[peer]?.note)
      .filter(Boolean)
      .join(' | '),
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map(row => row[column].length)))
  return [head, ...rows].map(row => {
    const cells = row.map((cell, column) => {
      const leftAligned = column === 0 || column === row.length - 1
      return leftAligned ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
    })
    return cells.join('  ').trimEnd()
  })
}

/** The summary of the run before, undefined if there is none. */
export function readPrevious(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).summary
  } catch {
    return undefined
  }
}

export function writeLast(file, document) {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(document, null, 1)}\n`)
}

function medianOf(measurements) {
  const last = measurements.at(-1)
  const middle = key =>
    measurements.map(m => m[key]).toSorted((a, b) => a - b)[Math.floor(measurements.length / 2)]
  const cpu = last.cpuMicros === undefined ? {} : { cpuMicros: middle('cpuMicros') }
  return { ...last, value: middle('value'), ...cpu }
}

function formatCell(measurement) {
  if (measurement === undefined) return '-'
  const cpu = measurement.cpuMicros === undefined ? '' : ` ${measurement.cpuMicros.toFixed(0).padStart(6)} µs`
  return `${measurement.value.toFixed(measurement.digits ?? 0)} ${measurement.unit}${cpu}`
}

function formatRatio(ours, reference) {
  if (ours === undefined || reference === undefined) return '-'
  const ratio = ours.better === 'more' ? ours.value / reference.value : reference.value / ours.value
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)}×` : '-'
}

function formatChange(now, before) {
  if (now === undefined || !before?.value) return '-'
  const percent = (now.value / before.value - 1) * 100
  return `${percent >= 0 ? '+' : ''}${percent.toFixed(0)} %`
}
