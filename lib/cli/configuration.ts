// The configuration that a command works with: a file, and the environment over it.
import { closeSync, openSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { ConfigError } from '../config/config-error.ts'
import { inspectConfig, type ConfigSource, type InspectedConfig } from '../config/load.ts'
import type { Section } from '../config/schema.ts'
import { describeError } from '../log.ts'
import { drivers } from '../storage/driver/drivers.ts'
import type { Io } from './io.ts'

/** The longest secret that a file may hold. */
const mostSecretBytes = 64 * 1024

/** The sections of all storage drivers. */
export const driverSections: Readonly<Record<string, Section<unknown>>> = Object.fromEntries(
  Object.entries(drivers).map(([name, { section }]) => [name, section]),
)

/** Of the file at `path`, else of the one that REGISTRY_CONFIGURATION_PATH names. Throws ConfigError. */
export async function readConfiguration(
  path: string | undefined,
  io: Pick<Io, 'env'>,
  options: Pick<ConfigSource, 'unknownKeys'> = {},
): Promise<InspectedConfig> {
  return inspectConfig({
    ...options,
    text: await readText(path, io),
    env: io.env,
    drivers: driverSections,
    readFile: readSecretFile,
  })
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

/** A device or a pipe may have no end, so that no more is read than a secret can be. */
function readSecretFile(path: string): string {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(mostSecretBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(file, bytes, length, bytes.length - length, null)
    }
    if (length > mostSecretBytes) throw new RangeError(`it has more than ${mostSecretBytes} bytes`)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(file)
  }
}
