// The configuration that a command works with: a file, and the environment over it.
import { readFile } from 'node:fs/promises'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { describeError } from '../log.ts'
import { drivers } from '../storage/driver/drivers.ts'
import type { Io } from './io.ts'

/** Of the file at `path`, else of the one that REGISTRY_CONFIGURATION_PATH names. Throws ConfigError. */
export async function readConfiguration(
  path: string | undefined,
  io: Pick<Io, 'env'>,
): Promise<LoadedConfig> {
  const sections = Object.fromEntries(Object.entries(drivers).map(([name, { section }]) => [name, section]))
  return loadConfig({ text: await readText(path, io), env: io.env, drivers: sections })
}

async function readText(path: string | undefined, io: Pick<Io, 'env'>): Promise<string> {
  const file = path ?? io.env['REGISTRY_CONFIGURATION_PATH']
  if (file === undefined || file === '') {
    throw new ConfigError(['found no file, expected one as an argument or in REGISTRY_CONFIGURATION_PATH'])
  }
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    throw new ConfigError([`Cannot read "${file}": ${describeError(err)}`], { cause: err })
  }
}
