// Environment variables over the file: REGISTRY_HTTP_ADDR sets http.addr. distribution's documented rules, including the
// two forms that its code gets wrong (one element of a list of scalars, maps nested below storage.maintenance):
//
// 1. Variables that begin with REGISTRY_ are applied in the order of their names, so that REGISTRY_STORAGE=filesystem
//    comes before REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY. The rest of a name, split at `_`, is a path.
// 2. In a section with known keys a step must be one of them, else the variable is ignored with a warning: whatever runs
//    us may set variables of its own (Kubernetes: REGISTRY_PORT, where a service is called registry).
// 3. In an open map (storage, headers, …) a step is the key that is there, whatever its case, else a new one in lower
//    case. In a list it is an index; the index after the last appends.
// 4. The value is YAML; an empty one resets to the default.
// 5. distribution goes by the names of its own structures, which differ from the file's here and there. Both are known
//    (schema.ts: `aliases`).
// 6. REGISTRY_…_FILE names the file that a secret lies in (secret-files.ts).
import type { z } from 'zod'
import { ConfigError } from './config-error.ts'
import { below, isList, isScalar, keysOf, traitsOf } from './outline.ts'
import { formatPath, show } from './problems.ts'
import { readSecret, secretBehind, type ReadFile } from './secret-files.ts'
import { parseYaml } from './yaml.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Overridden {
  readonly tree: unknown
  /** Path → variable that set the value there. */
  readonly origins: ReadonlyMap<string, string>
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

const prefix = 'REGISTRY_'

/** A copy of `tree` with the variables applied; `tree` itself stays as it is. */
export function override(
  tree: unknown,
  environment: Environment,
  schema: z.ZodType,
  readFile: ReadFile,
): Overridden {
  const origins = new Map<string, string>()
  const problems: string[] = []
  const warnings: string[] = []
  let overridden = tree
  for (const name of Object.keys(environment).sort()) {
    const text = environment[name]
    if (!name.startsWith(prefix) || name === 'REGISTRY_CONFIGURATION_PATH' || text === undefined) continue
    const secret = secretBehind(name, prefix, schema)
    if (secret !== undefined && text === '') continue
    const steps = (secret ?? name).slice(prefix.length).split('_')
    try {
      const path: PropertyKey[] = []
      if (secret !== undefined && (environment[secret] ?? '') !== '')
        throw new ConfigError([`found ${secret} as well, expected one of both`])
      const value = secret === undefined ? parseYaml(text).value : readSecret(text, readFile)
      overridden = assign({ value: overridden, schema, isOpen: false }, steps, value, path)
      origins.set(formatPath(path), name)
    } catch (err) {
      if (err instanceof UnrecognizedError)
        warnings.push(`Ignoring unrecognized environment variable ${name}`)
      else if (err instanceof ConfigError)
        problems.push(...err.problems.map(problem => `${name}: ${problem}`))
      else throw err
    }
  }
  return { tree: overridden, origins, problems, warnings }
}

/** No such place in the configuration. */
class UnrecognizedError extends Error {
  override readonly name = 'UnrecognizedError'
}

/** A value on the way down, and what is known about it. */
interface Place {
  readonly value: unknown
  readonly schema: z.core.$ZodType | undefined
  /** Whether keys may be made up here: it or something above it is an open map. */
  readonly isOpen: boolean
}

/** What `place.value` becomes once `value` is at the end of `steps`. The keys that were meant are added to `path`. */
function assign(place: Place, steps: readonly string[], value: unknown, path: PropertyKey[]): unknown {
  const [step, ...rest] = steps
  if (step === undefined) return value
  if (step === '') throw new UnrecognizedError()
  const isOpen = place.isOpen || place.schema === undefined || traitsOf(place.schema).open === true
  const down = (key: PropertyKey, there: unknown) => {
    path.push(key)
    const schema = place.schema && below(place.schema, key)
    return assign({ value: there, schema, isOpen }, rest, value, path)
  }
  if (Array.isArray(place.value) || (place.schema !== undefined && isList(place.schema))) {
    const list: readonly unknown[] = Array.isArray(place.value) ? place.value : listOfOne(place.value)
    const index = indexOf(step, list)
    return list.toSpliced(index, 1, down(index, list[index]))
  }
  if (place.schema !== undefined && isScalar(place.schema) && !isOpen) throw new UnrecognizedError()
  // Only where no key goes by that name: an alias is a way in for variables alone.
  const alias = place.schema && aliasOf(step, place.schema)
  if (alias === '') return assign(place, rest, value, path)
  const map = mapOf(place.value)
  const key = alias ?? keyOf(step, map, place.schema, isOpen)
  return { ...map, [key]: down(key, Object.hasOwn(map, key) ? map[key] : undefined) }
}

function listOfOne(value: unknown): readonly unknown[] {
  return value === undefined || value === null ? [] : [value]
}

/** A name alone stands for a map with that key, as in `storage: inmemory`. */
function mapOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'string' && value !== '') return { [value]: {} }
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function indexOf(step: string, list: readonly unknown[]): number {
  const index = Number(step)
  if (/^\d+$/.test(step) && index <= list.length) return index
  throw new ConfigError([`found index ${show(step)}, expected a number from 0 to ${list.length}`])
}

function aliasOf(step: string, schema: z.core.$ZodType): string | undefined {
  return traitsOf(schema).aliases?.[step.toLowerCase()]
}

function keyOf(step: string, map: object, schema: Place['schema'], isOpen: boolean): string {
  const isMeant = (key: string) => key.toUpperCase() === step.toUpperCase()
  const known = schema && keysOf(schema)
  const key = Object.keys(map).find(isMeant) ?? known?.find(isMeant)
  if (key !== undefined) return key
  if (known !== undefined && !isOpen) throw new UnrecognizedError()
  return step.toLowerCase()
}
