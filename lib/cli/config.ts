// `registry config`: what counts of a configuration, and what is wrong with it.
import yaml from 'js-yaml'
import { ConfigError } from '../config/config-error.ts'
import { effectiveConfig } from '../config/effective.ts'
import { toJsonSchema } from '../config/json-schema.ts'
import { keyTables } from '../config/key-tables.ts'
import { configSchema } from '../config/sections.ts'
import { productName } from '../version.ts'
import { driverSections, readConfiguration } from './configuration.ts'
import type { Io } from './io.ts'

export interface ShowConfigOptions {
  readonly json?: boolean | undefined
  readonly unknownKeys: 'warning' | 'problem'
}

/** Settles with the exit code: 1 where the server would not start with it, or a key is unknown that may not be. */
export async function showConfig(
  path: string | undefined,
  io: Io,
  { json, unknownKeys }: ShowConfigOptions,
): Promise<number> {
  try {
    const { tree, schema, warnings } = await readConfiguration(path, io, { unknownKeys })
    const effective = effectiveConfig(tree, schema)
    for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`)
    io.stdout.write(json === true ? formatJson(effective) : yaml.dump(effective, { lineWidth: 120 }))
    return 0
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err
    for (const problem of err.problems) io.stderr.write(`${problem}\n`)
    return 1
  }
}

export function printSchema(io: Io): void {
  io.stdout.write(formatJson(toJsonSchema(configSchema(driverSections), `Configuration of ${productName}`)))
}

export function printTables(io: Io): void {
  io.stdout.write(keyTables(configSchema(driverSections)))
}

function formatJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
