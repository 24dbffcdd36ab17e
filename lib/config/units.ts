// Durations and sizes as they are written in configuration files. Durations are Go's, because the file format is
// distribution's; they are counted in BigInt nanoseconds, so that no digit is lost on the way to milliseconds.

const nanosecondsIn: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n, // U+00B5, micro sign
  μs: 1_000n, // U+03BC, Greek letter mu
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}
const longestNanoseconds = 2n ** 63n - 1n // what fits Go's time.Duration, some 292 years
const durationPart = /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g
const durationGrammar = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/

/**
 * Milliseconds of a Go duration such as `1h30m`, `500ms` or `1.5h`, or of a plain integer, which counts nanoseconds.
 * Parts of a millisecond round away from zero, so that a short time never turns into none, which often means
 * "without limit". undefined where the text is neither, or longer than Go can say.
 * Source: Go time.ParseDuration; yaml.v2 reads an integer into a time.Duration as it is.
 */
export function parseDuration(text: string): number | undefined {
  const nanoseconds = /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : parseParts(text)
  if (nanoseconds === undefined) return undefined
  const length = nanoseconds < 0n ? -nanoseconds : nanoseconds
  if (length > longestNanoseconds) return undefined
  const milliseconds = Number((length + 999_999n) / 1_000_000n)
  return nanoseconds < 0n ? -milliseconds : milliseconds
}

function parseParts(text: string): bigint | undefined {
  if (!durationGrammar.test(text)) return undefined
  let sum = 0n
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(durationPart)) {
    const nanoseconds = nanosecondsIn[unit] ?? 0n
    sum += BigInt(whole || '0') * nanoseconds
    sum += (BigInt(fraction || '0') * nanoseconds) / 10n ** BigInt(fraction.length)
  }
  return text.startsWith('-') ? -sum : sum
}

/** Writes milliseconds as Go writes a duration: `54m0s`, `24h0m0s`, `1.5s`, `250ms`. */
export function formatDuration(milliseconds: number): string {
  if (Math.abs(milliseconds) < 1000 && milliseconds !== 0) return `${milliseconds}ms`
  const seconds = Math.abs(milliseconds) / 1000
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  const rest = Math.round((seconds % 60) * 1000) / 1000
  const parts = [
    ...(hours > 0 ? [`${hours}h`] : []),
    ...(hours > 0 || minutes > 0 ? [`${minutes}m`] : []),
    `${rest}s`,
  ]
  return `${milliseconds < 0 ? '-' : ''}${parts.join('')}`
}

const bytesIn: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  ...{ kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, pb: 1e15 },
  ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40, pib: 2 ** 50 },
}

/**
 * Bytes of a size such as `10GB` (powers of ten), `512MiB` (powers of two), `1.5 GiB`, or a plain integer. Parts of a
 * byte are cut. undefined where the text is no size, or is more than can be counted exactly.
 */
export function parseSize(text: string): number | undefined {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp]?i?b)?$/i.exec(text) ?? []
  const factor = bytesIn[unit.toLowerCase()]
  if (amount === '' || factor === undefined || (unit === '' && amount.includes('.'))) return undefined
  const bytes = Math.floor(Number(amount) * factor)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
