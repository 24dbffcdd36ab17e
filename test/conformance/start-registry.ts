// The registry that the sentences are held against: the whole server from a configuration text, on a free port.
import type { Test } from 'tap'
import type { Clock } from '../../lib/clock.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { createLogger } from '../../lib/log.ts'
import { startServer } from '../../lib/server.ts'
import { driverSections } from '../support/driver-sections.ts'

export const drivers = ['inmemory', 'filesystem'] as const
export type DriverName = (typeof drivers)[number]

export interface RegistryOptions {
  readonly driver: DriverName
  /** The folder of the filesystem driver; one of its own by default. */
  readonly root?: string
  /** More of the storage section, as YAML inside braces. Deleting is on by default. */
  readonly storage?: string
  /** More sections, as YAML inside braces. */
  readonly sections?: string
  /** Default: the system's. */
  readonly clock?: Clock
}

export interface StartedRegistry {
  readonly url: string
  stop(): Promise<void>
}

/** Starts a registry that ends with the test. */
export async function startRegistry(
  t: Test,
  { driver, root, storage = 'delete: {enabled: true}', sections, clock }: RegistryOptions,
): Promise<StartedRegistry> {
  const parameters = driver === 'filesystem' ? `{rootdirectory: "${root ?? t.testdir({})}"}` : '{}'
  const parts = [
    'version: 0.1',
    'log: {accesslog: {disabled: true}}',
    `storage: {${driver}: ${parameters}, ${storage}}`,
    'http: {addr: "127.0.0.1:0", secret: a secret for tests, draintimeout: 2s}',
    ...(sections === undefined ? [] : [sections]),
  ]
  const { config } = loadConfig({ text: `{${parts.join(', ')}}`, env: {}, drivers: driverSections })
  const logger = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => undefined })
  const server = await startServer({ config, logger, version: 'test', ...(clock && { clock }) })
  t.teardown(() => server.stop())
  return { url: server.addresses.url, stop: () => server.stop() }
}
