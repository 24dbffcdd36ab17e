// How values become text: printed alone, and by the verbs of printf. Where Go would write its complaint into the text
// (`%!d(string=x)`), we fail: nobody wants that in a document.
// Source: the documentation of Go's package fmt.
import { CallError, typeName } from './call-error.ts'

/** As Go's %v: lists as `[a b]`, objects as `{a b}`, nothing as `<no value>`. */
export function formatValue(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (value === null || value === undefined) return '<no value>'
  if (Array.isArray(value)) return `[${value.map(formatValue).join(' ')}]`
  if (typeof value === 'object') return `{${Object.values(value).map(formatValue).join(' ')}}`
  throw new CallError(`cannot print ${typeName(value)}`)
}

const directive = /%([-0]*)(\d*)([^]?)/g

/** The verbs %s, %d, %q, %v and %%, with a width, `-` and `0`. */
export function printf(format: unknown, args: readonly unknown[]): string {
  if (typeof format !== 'string') throw new CallError(`found ${typeName(format)}, expected a format`)
  let used = 0
  const text = format.replace(directive, (all: string, flags: string, width: string, verb: string) => {
    if (verb === '%') return '%'
    const write = verbs.get(verb)
    if (write === undefined) throw new CallError(`unknown verb "${all}"`)
    if (used === args.length) throw new CallError(`no argument for "${all}"`)
    return pad(write(args[used++]), flags, Number(width))
  })
  if (used < args.length) throw new CallError(`found ${args.length} arguments, the format takes ${used}`)
  return text
}

const verbs = new Map<string, (value: unknown) => string>([
  ['v', formatValue],
  ['s', value => formatValue(typeof value === 'number' ? unfit(value, 's') : value)],
  ['d', value => (Number.isInteger(value) ? String(value) : unfit(value, 'd'))],
  ['q', value => (typeof value === 'string' ? quote(value) : unfit(value, 'q'))],
])

function unfit(value: unknown, verb: string): never {
  throw new CallError(`cannot format ${typeName(value)} with %${verb}`)
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width)
  return text.padStart(width, flags.includes('0') ? '0' : ' ')
}

/** A string literal of Go, which writes control characters as bytes. */
function quote(text: string): string {
  return JSON.stringify(text)
    .replace(/\\u00([01][\da-f])/g, '\\x$1')
    .replaceAll('\u007f', '\\x7f')
}
