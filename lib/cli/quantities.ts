// Sizes and lengths of time as people read them: few digits, one unit.

const sizeUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** `512 B`, `1.2 GB`, `35 MB`: powers of ten, as upstreams and disks count. */
export function formatBytes(bytes: number): string {
  let amount = bytes
  let unit = 0
  // From here on it would be rounded to 1000 of its unit.
  while (amount >= 999.5 && unit < sizeUnits.length - 1) {
    amount /= 1000
    unit++
  }
  const hasTenths = unit > 0 && amount < 9.95
  return `${hasTenths ? amount.toFixed(1) : amount.toFixed(0)} ${sizeUnits[unit] ?? ''}`
}

/** `45s`, `12m`, `3h`, `9d`: whole units that have passed, of the largest there is. A time that is negative is `0s`. */
export function formatTime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** How long ago an instant was; `-` for none. */
export function formatAgo(atMs: number | undefined, nowMs: number): string {
  return atMs === undefined ? '-' : `${formatTime(nowMs - atMs)} ago`
}
