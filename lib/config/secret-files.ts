// Secrets that lie in files, as container platforms hand them out. REGISTRY_<path>_FILE names the file of any value that
// no message shows (traits: `secret`), or of one in a map of such; `http.secretfile` that of http.secret. Other keys that
// end in FILE, as health.file[].file does, are none of these.
import type { z } from 'zod'
import { ConfigError } from './config-error.ts'
import { below, isList, isMap, isScalar, keysOf, traitsOf } from './outline.ts'
import { valueAt, type Problem } from './problems.ts'

/** The text of the file at `path`; throws where it cannot be read. */
export type ReadFile = (path: string) => string

const suffix = '_FILE'

/** The variable whose value `name` holds the file of; undefined where it is an ordinary variable. */
export function secretBehind(name: string, prefix: string, schema: z.core.$ZodType): string | undefined {
  if (!name.endsWith(suffix)) return undefined
  const variable = name.slice(0, -suffix.length)
  return leadsToSecret(variable.slice(prefix.length).split('_'), schema) ? variable : undefined
}

/** Without the newline that most editors put at the end. Throws ConfigError. */
export function readSecret(path: string, readFile: ReadFile): string {
  try {
    return readFile(path).replace(/\r?\n$/, '')
  } catch (err) {
    const reason = err instanceof Error ? err.message : String(err)
    throw new ConfigError([`found ${JSON.stringify(path)}, expected a file that can be read: ${reason}`], {
      cause: err,
    })
  }
}

export interface WithSecret {
  readonly tree: unknown
  readonly problems: readonly Problem[]
}

/** `tree` with the content of http.secretfile as http.secret. */
export function withSecretFile(tree: unknown, readFile: ReadFile): WithSecret {
  const path = ['http', 'secretfile']
  const http = valueAt(tree, ['http'])
  const file = valueAt(tree, path)
  if (typeof file !== 'string' || file === '') return { tree, problems: [] }
  if (valueAt(tree, ['http', 'secret'])) {
    return { tree, problems: [{ path, found: 'http.secret as well', expected: 'one of both' }] }
  }
  try {
    const secret = readSecret(file, readFile)
    return { tree: { ...(tree as object), http: { ...(http as object), secret } }, problems: [] }
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err
    const [, found = '', expected = ''] = /^found (.*?), expected (.*)$/s.exec(err.message) ?? []
    return { tree, problems: [{ path, found, expected }] }
  }
}

function leadsToSecret(steps: readonly string[], schema: z.core.$ZodType): boolean {
  let at = schema
  let isBelowSecret = false
  for (const step of steps) {
    isBelowSecret ||= traitsOf(at).secret === true
    const next = stepInto(at, step.toLowerCase())
    if (next === undefined) return false
    at = next
  }
  return isBelowSecret || (isScalar(at) && traitsOf(at).secret === true)
}

function stepInto(schema: z.core.$ZodType, step: string): z.core.$ZodType | undefined {
  if (isList(schema)) return /^\d+$/.test(step) ? below(schema, Number(step)) : undefined
  if (isMap(schema)) return step === '' ? undefined : below(schema, step)
  const known = keysOf(schema) ?? []
  if (known.includes(step)) return below(schema, step)
  const alias = traitsOf(schema).aliases?.[step]
  if (alias === undefined) return undefined
  return alias === '' ? schema : below(schema, alias)
}
