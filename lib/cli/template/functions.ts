// The functions that every template may call, with Go's names and rules. `and` and `or` are the executor's: they do
// not evaluate what they need not.
// Source: the documentation of Go's package text/template, "Functions".
import { CallError, typeName } from './call-error.ts'
import { formatValue, printf } from './format.ts'

/** Gets the values of its arguments; a value from a pipeline is the last. */
export type TemplateFunction = (...args: readonly unknown[]) => unknown
export type TemplateFunctions = ReadonlyMap<string, TemplateFunction>

/** What `if`, `with`, `and`, `or` and `not` take for true: not false, 0, nothing, or what is empty. */
export function isTrue(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value)
}

export const builtins: TemplateFunctions = new Map<string, TemplateFunction>([
  ['not', (...args) => !isTrue(exactly(1, args)[0])],
  ['eq', (...args) => isEqual(args)],
  ['ne', (...args) => !isEqual(exactly(2, args))],
  ['lt', (...args) => compare(args) < 0],
  ['le', (...args) => compare(args) <= 0],
  ['gt', (...args) => compare(args) > 0],
  ['ge', (...args) => compare(args) >= 0],
  ['len', (...args) => lengthOf(exactly(1, args)[0])],
  ['print', (...args) => print(args)],
  ['printf', (format, ...args) => printf(format, args)],
])

/** Whether the first is equal to any of the others. */
function isEqual([first, ...others]: readonly unknown[]): boolean {
  if (others.length === 0) throw new CallError('found 1 argument, expected 2 or more')
  return others.some(other => {
    if (first === null || first === undefined) return other === null || other === undefined
    if (typeof first === 'object' || typeof other === 'object' || typeof first !== typeof other) {
      throw new CallError(`cannot compare ${typeName(first)} with ${typeName(other)}`)
    }
    return first === other
  })
}

/** Negative, 0 or positive. */
function compare(args: readonly unknown[]): number {
  const [a, b] = exactly(2, args)
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a !== 'string' || typeof b !== 'string') {
    throw new CallError(`cannot compare ${typeName(a)} with ${typeName(b)}`)
  }
  return a < b ? -1 : Number(a > b)
}

/** With a space between two values of which neither is a string, as in Go. */
function print(args: readonly unknown[]): string {
  return args.reduce<string>((text, value, index) => {
    const isApart = index > 0 && typeof value !== 'string' && typeof args[index - 1] !== 'string'
    return text + (isApart ? ' ' : '') + formatValue(value)
  }, '')
}

/** Of a string as in Go: in bytes. */
function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  throw new CallError(`${typeName(value)} has no length`)
}

function exactly(count: number, args: readonly unknown[]): readonly unknown[] {
  if (args.length === count) return args
  throw new CallError(`found ${args.length} arguments, expected ${count}`)
}
