// The configuration as it counts, under the names that the file has: what was written, over the defaults, without
// secrets. It is itself a configuration that says the same, but for what is hidden.
import type { z } from 'zod'
import { redactUrl } from '../log.ts'
import { keyAt } from './keys.ts'
import { below, isList, isMap, isScalar, keysOf, traitsOf } from './outline.ts'
import { flag, isEmpty } from './schema.ts'

type Tree = Readonly<Record<string, unknown>>

/** What stands for a value that is not shown. */
export const hidden = '***'

/** Sections that say something by being there, so that they are not shown where nobody wrote them. */
const onlyIfGiven = ['proxy', 'tokenservice', 'redis', 'http.tls']

/** `tree` and `schema` are those of inspectConfig(). */
export function effectiveConfig(tree: unknown, schema: z.core.$ZodType): unknown {
  return shown(normalize(tree), schema, '', false)
}

/** Short forms and old names, in the form that is documented. */
function normalize(tree: unknown): unknown {
  if (!isTree(tree)) return tree
  const { loglevel, ...rest } = tree
  const log = isTree(rest['log']) ? rest['log'] : {}
  const storage = typeof rest['storage'] === 'string' ? { [rest['storage']]: {} } : rest['storage']
  return { ...rest, storage, log: isEmpty(log['level']) ? { ...log, level: loglevel } : log }
}

function shown(value: unknown, schema: z.core.$ZodType, path: string, isSecret: boolean): unknown {
  const isHidden = isSecret || traitsOf(schema).secret === true
  if (isList(schema)) {
    if (isEmpty(value)) return undefined
    const element = below(schema, 0)
    return (Array.isArray(value) ? value : [value]).map(one => {
      const entry: unknown = one
      return element === undefined ? entry : shown(entry, element, `${path}[]`, isHidden)
    })
  }
  if (isMap(schema)) {
    const entry = below(schema, '')
    if (!isTree(value) || entry === undefined) return undefined
    return mapped(Object.keys(value), key => shown(value[key], entry, `${path}.*`, isHidden))
  }
  const keys = keysOf(schema)
  if (keys === undefined) return isScalar(schema) ? shownScalar(value, schema, path, isHidden) : value
  if (typeof value === 'string' && value !== '') return value
  const given = isTree(value) ? value : {}
  return mapped(keys, key => {
    const there = below(schema, key)
    const at = path === '' ? key : `${path}.${key}`
    if (there === undefined || !isWanted(there, given, key, at)) return undefined
    const result = shown(given[key], there, at, isHidden)
    // A driver, a scheme or a way to credentials is chosen by being there, be it without parameters.
    const isSaid = isChoice(at) || traitsOf(there).shorthand !== undefined
    return isTree(result) && Object.keys(result).length === 0 && !isSaid ? undefined : result
  })
}

function isWanted(schema: z.core.$ZodType, given: Tree, key: string, at: string): boolean {
  const mayBeLeftOut = onlyIfGiven.includes(at) || isChoice(at) || traitsOf(schema).shorthand !== undefined
  return Object.hasOwn(given, key) || !mayBeLeftOut
}

function isChoice(at: string): boolean {
  const isPlainSection = /^storage\.(?:delete|redirect|cache|maintenance|tag)$/.test(at)
  return /^(?:storage|auth)\.[^.]+$/.test(at) && !isPlainSection
}

function shownScalar(value: unknown, schema: z.core.$ZodType, path: string, isHidden: boolean): unknown {
  if (isEmpty(value)) return keyAt(path)?.value
  if (isHidden) return hidden
  if (typeof value !== 'string') return value
  const is = traitsOf(schema).kind?.is
  if (is === 'flag') return flag.parse(value)
  return is === 'integer' ? Number(value) : redactUrl(value)
}

function mapped(keys: readonly string[], valueOf: (key: string) => unknown): Tree {
  return Object.fromEntries(
    keys.map(key => [key, valueOf(key)] as const).filter(([, value]) => value !== undefined),
  )
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
