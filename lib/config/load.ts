// The configuration file and the environment → one checked, frozen Config, or every problem at once:
// YAML → variables into its values → environment variables over it → secrets from files → without unknown keys → what keys must agree on → the
// schema → Config.
import type { z } from 'zod'
import { disagreements, driversIn, remarks } from './agreement.ts'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'
import { override, type Environment } from './env.ts'
import { below, keysOf, traitsOf } from './outline.ts'
import { formatPath, formatProblem, problemsOf, valueAt } from './problems.ts'
import { isEmpty } from './schema.ts'
import { withSecretFile, type ReadFile } from './secret-files.ts'
import { configSchema, type Drivers, type ParsedConfig } from './sections.ts'
import { substitute } from './substitution.ts'
import { withoutUnknownKeys } from './unknown-keys.ts'
import { parseYaml } from './yaml.ts'

export interface ConfigSource {
  /** The YAML file's text. */
  readonly text: string
  readonly env: Environment
  /** The section of every storage driver, by the driver's name. */
  readonly drivers: Drivers
  /** For secrets that lie in files; without it there are none. */
  readonly readFile?: ReadFile | undefined
  /** What keys are that distribution would pass over: a warning each, by default. */
  readonly unknownKeys?: 'warning' | 'problem' | undefined
}

export interface LoadedConfig {
  readonly config: Config
  /** One line each, for the operator. */
  readonly warnings: readonly string[]
}

/** With what was written, for those who show it. */
export interface InspectedConfig extends LoadedConfig {
  /** The file with the environment over it, without unknown keys. Secrets from variables are in it, too. */
  readonly tree: unknown
  readonly schema: z.core.$ZodType
}

/** Throws ConfigError. */
export function loadConfig(source: ConfigSource): LoadedConfig {
  const { config, warnings } = inspectConfig(source)
  return { config, warnings }
}

/** Throws ConfigError. */
export function inspectConfig({
  text,
  env,
  drivers,
  readFile = noFiles,
  unknownKeys = 'warning',
}: ConfigSource): InspectedConfig {
  const names = Object.keys(drivers)
  const schema = configSchema(drivers)
  const file = parseYaml(text)
  const filled = substitute(file.value ?? {}, env)
  const overridden = override(withProxyKeys(filled.tree), env, schema, readFile)
  const { origins, problems, warnings } = overridden
  const known =
    unknownKeys === 'warning'
      ? withoutUnknownKeys(overridden.tree, schema)
      : { tree: overridden.tree, ignored: [] }
  const withSecret = withSecretFile(known.tree, readFile)
  const { tree } = withSecret
  const parsed = schema.safeParse(tree)
  const found = [
    ...filled.problems,
    ...(parsed.success ? [] : problemsOf(parsed.error.issues, tree, schema)),
    ...withSecret.problems,
    ...disagreements(tree, names),
  ]
  const lines = [...problems, ...found.map(problem => formatProblem(problem, origins))]
  const ignored = known.ignored.map(problem => `${formatProblem(problem, origins)}; it is ignored`)
  const [driver] = driversIn(tree, names)
  // A misspelt key may well be why something else is missing.
  if (!parsed.success || driver === undefined || lines.length > 0)
    throw new ConfigError([...lines, ...ignored])
  return {
    config: freeze(assemble(parsed.data, driver)),
    warnings: [...file.warnings, ...warnings, ...ignored, ...inertKeys(schema, tree), ...remarks(tree)],
    tree: known.tree,
    schema,
  }
}

function noFiles(): never {
  throw new Error('no files are read here')
}

function assemble({ loglevel, log, storage, http, redis: _, ...rest }: ParsedConfig, driver: string): Config {
  return {
    ...rest,
    log: { ...log, level: log.level ?? loglevel ?? 'info' },
    storage: {
      driver: { name: driver, parameters: valueAt(storage, [driver]) },
      delete: storage.delete,
      redirect: storage.redirect,
      cache: storage.cache,
      maintenance: storage.maintenance,
      tag: storage.tag,
    },
    http,
  }
}

/** Keys below `proxy`, which are our own for the most part, are taken in any case: `maxSize` is `maxsize`. */
function withProxyKeys(tree: unknown): unknown {
  const isMap = typeof tree === 'object' && tree !== null && !Array.isArray(tree)
  return isMap && 'proxy' in tree ? { ...tree, proxy: lowerKeys(tree.proxy) } : tree
}

function lowerKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lowerKeys)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, below]) => [key.toLowerCase(), lowerKeys(below)]),
  )
}

/** A line for each key that is set and has no effect; for a whole section only one. */
function inertKeys(schema: z.core.$ZodType, tree: unknown, path: readonly string[] = []): string[] {
  if (isEmpty(tree)) return []
  const reason = traitsOf(schema).inert
  if (reason !== undefined) return [`${formatPath(path)} has no effect: ${reason}`]
  if (path.join('.') === 'storage.cache') return redisCacheKeys(tree)
  return (keysOf(schema) ?? []).flatMap(key => {
    const there = below(schema, key)
    return there === undefined ? [] : inertKeys(there, valueAt(tree, [key]), [...path, key])
  })
}

/** The one key of which only one value is inert. */
function redisCacheKeys(cache: unknown): string[] {
  return ['blobdescriptor', 'layerinfo']
    .filter(key => String(valueAt(cache, [key])).toLowerCase() === 'redis')
    .map(key => `storage.cache.${key}: redis has no effect: it is not supported yet`)
}

/** To the bottom, save objects that are not plain, such as URLs. */
function freeze<T>(value: T): T {
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype
  if (isPlain) Object.values(Object.freeze(value) as object).forEach(freeze)
  return value
}
