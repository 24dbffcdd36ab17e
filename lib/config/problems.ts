// What is wrong with a configuration, in words: `path: found X, expected Y`. zod says what and where; this file looks up
// what was written there, hides what is secret, and knows which environment variable a value came from.
import type { z } from 'zod'
import { redactUrl } from '../log.ts'
import { nearest } from './nearest.ts'
import { at, keysOf, traitsOf } from './outline.ts'

export interface Problem {
  readonly path: readonly PropertyKey[]
  readonly found: string
  readonly expected: string
}

/** The problems behind the issues of a failed parse of `tree`, in the same order. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], tree: unknown, schema: z.ZodType): Problem[] {
  return issues.flatMap(issue => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map(key => unknownKey(issue.path, key, schema))
    if (issue.code === 'invalid_key') {
      const [reason] = issue.issues
      return [
        { path: issue.path, found: show(issue.path.at(-1)), expected: reason?.message ?? issue.message },
      ]
    }
    const { path } = issue
    const found = isSecret(schema, path)
      ? 'a hidden value'
      : show(valueAt(tree, path) ?? shorthandAt(tree, path))
    return [{ path, found, expected: expectation(issue) }]
  })
}

/** One line; `origins` tells which values environment variables set, by their path. */
export function formatProblem(
  { path, found, expected }: Problem,
  origins: ReadonlyMap<string, string>,
): string {
  const origin = originOf(path, origins)
  return `${formatPath(path)}${origin === undefined ? '' : ` (${origin})`}: found ${found}, expected ${expected}`
}

export function formatPath(path: readonly PropertyKey[]): string {
  const steps = path.map(key => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
  return steps.join('').replace(/^\./, '') || 'file'
}

/** A value as it may appear in a message: a scalar in quotes, without credentials; of the rest only the kind. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  const text = redactUrl(typeof value === 'string' ? value : JSON.stringify(value))
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text)
}

/** What is written at `path`; a scalar counts as a list of one (schema.ts: listOf). */
export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((above, key) => {
    if (typeof above === 'string' && key === 0) return above
    const isThere = typeof above === 'object' && above !== null && Object.hasOwn(above, key)
    return isThere ? (above as Record<PropertyKey, unknown>)[key] : undefined
  }, tree)
}

/** The text that stands for a whole map, where `path` leads into such a one. */
function shorthandAt(tree: unknown, path: readonly PropertyKey[]): string | undefined {
  const above = path.map((_, length) => valueAt(tree, path.slice(0, length)))
  const deepest = above.findLast(value => value !== undefined)
  // `auth: token` has the scheme, and nothing of what is below it.
  return typeof deepest === 'string' && !path.includes(deepest) ? deepest : undefined
}

/** An unknown key, and what was probably meant. */
export function unknownKey(path: readonly PropertyKey[], key: string, schema: z.core.$ZodType): Problem {
  const section = at(schema, path)
  const known = (section && keysOf(section)) ?? []
  const meant = nearest(key, known)
  const names = [...known].sort().join(', ')
  return {
    path: [...path, key],
    found: 'an unknown key',
    expected: meant === undefined ? (names === '' ? 'no keys here' : `one of ${names}`) : `"${meant}"`,
  }
}

/** What our own pieces say is their message; the rest is for plain zod schemas, which drivers may use. */
function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.expected === 'object' || issue.expected === 'record') return 'a map'
      return issue.expected === 'array' ? 'a list' : `a ${issue.expected}`
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`
    default:
      return issue.message
        .replace(/^(?:[^:]*: )?expected /i, '')
        .replace(/^[A-Z]/, letter => letter.toLowerCase())
  }
}

function isSecret(schema: z.ZodType, path: readonly PropertyKey[]): boolean {
  return path.some((_, index) => {
    const there = at(schema, path.slice(0, index + 1))
    return there !== undefined && traitsOf(there).secret === true
  })
}

function originOf(path: readonly PropertyKey[], origins: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const origin = origins.get(formatPath(path.slice(0, length)))
    if (origin !== undefined) return origin
  }
  return undefined
}
