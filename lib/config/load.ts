// The configuration file and the environment → one checked, frozen Config, or every problem at once:
// YAML → environment variables over it → what keys must agree on → the schema → Config.
import type { z } from 'zod'
import { disagreements, driversIn } from './agreement.ts'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'
import { override, type Environment } from './env.ts'
import { below, keysOf, traitsOf } from './outline.ts'
import { formatPath, formatProblem, problemsOf, valueAt } from './problems.ts'
import { isEmpty } from './schema.ts'
import { configSchema, type Drivers, type ParsedConfig } from './sections.ts'
import { parseYaml } from './yaml.ts'

export interface ConfigSource {
  /** The YAML file's text. */
  readonly text: string
  readonly env: Environment
  /** The section of every storage driver, by the driver's name. */
  readonly drivers: Drivers
}

export interface LoadedConfig {
  readonly config: Config
  /** One line each, for the operator. */
  readonly warnings: readonly string[]
}

/** Throws ConfigError. */
export function loadConfig({ text, env, drivers }: ConfigSource): LoadedConfig {
  const names = Object.keys(drivers)
  const schema = configSchema(drivers)
  const file = parseYaml(text)
  const { tree, origins, problems, warnings } = override(withProxyKeys(file.value ?? {}), env, schema)
  const parsed = schema.safeParse(tree)
  const found = [
    ...(parsed.success ? [] : problemsOf(parsed.error.issues, tree, schema)),
    ...disagreements(tree, names),
  ]
  const lines = [...problems, ...found.map(problem => formatProblem(problem, origins))]
  const [driver] = driversIn(tree, names)
  if (!parsed.success || driver === undefined || lines.length > 0) throw new ConfigError(lines)
  return {
    config: freeze(assemble(parsed.data, driver)),
    warnings: [...file.warnings, ...warnings, ...inertKeys(schema, tree).map(warnInert)],
  }
}

function assemble({ loglevel, log, storage, http, ...rest }: ParsedConfig, driver: string): Config {
  const { formatter, fields, accesslog } = log
  return {
    version: rest.version,
    log: { level: log.level ?? loglevel ?? 'info', formatter, fields, accesslog },
    storage: {
      driver: { name: driver, parameters: valueAt(storage, [driver]) },
      delete: storage.delete,
      redirect: storage.redirect,
      cache: storage.cache,
      maintenance: storage.maintenance,
      tag: storage.tag,
    },
    http,
    proxy: rest.proxy,
    validation: rest.validation,
    policy: rest.policy,
    catalog: rest.catalog,
    tags: rest.tags,
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

/** Paths of what is set and has no effect; of a whole section only the section itself. */
function inertKeys(schema: z.core.$ZodType, tree: unknown, path: readonly string[] = []): string[] {
  if (isEmpty(tree)) return []
  if (traitsOf(schema).inert === true) return [formatPath(path)]
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
    .map(key => `storage.cache.${key}: redis`)
}

function warnInert(key: string): string {
  return `${key} is known but not supported yet and has no effect`
}

/** To the bottom, save objects that are not plain, such as URLs. */
function freeze<T>(value: T): T {
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype
  if (isPlain) Object.values(Object.freeze(value) as object).forEach(freeze)
  return value
}
