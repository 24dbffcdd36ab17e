// Registries for the model tests: the whole program short of its command line, listening on loopback.
import { loadConfig } from '../../lib/config/load.ts'
import { createLogger } from '../../lib/log.ts'
import { startServer } from '../../lib/server.ts'
import { driverSections } from '../support/driver-sections.ts'
import type { DriverKind } from '../support/stores.ts'
import { RegistryClient } from './registry-client.ts'

/** The parameters of every property: MODEL_RUNS and MODEL_SEED replace the number of runs and the seed. */
export function parameters(runs: number) {
  const { MODEL_RUNS, MODEL_SEED } = process.env
  return {
    numRuns: MODEL_RUNS === undefined ? runs : Number(MODEL_RUNS),
    ...(MODEL_SEED !== undefined && { seed: Number(MODEL_SEED) }),
    // Shrinking ends here; what it has found by then is reported.
    interruptAfterTimeLimit: 60_000,
    markInterruptAsFailure: true,
  }
}

/** Runs `work` with a registry of its own; two over the same `root` are two processes. */
export async function withRegistry(
  kind: DriverKind,
  root: string,
  work: (client: RegistryClient) => Promise<void>,
): Promise<void> {
  const storage = kind === 'inmemory' ? 'inmemory: {}' : `filesystem: {rootdirectory: "${root}"}`
  const text = [
    'version: 0.1',
    `storage: {${storage}, delete: {enabled: true}, cache: {blobdescriptor: inmemory}}`,
    'http: {addr: "127.0.0.1:0", secret: model}',
    'log: {accesslog: {disabled: true}}',
  ].join('\n')
  const { config } = loadConfig({ text, env: {}, drivers: driverSections })
  const failures: string[] = []
  const write = (line: string) => void failures.push(line)
  const logger = createLogger({ level: 'error', formatter: 'json', fields: {}, write })
  const server = await startServer({ config, logger, version: 'model' })
  const client = new RegistryClient(server.addresses.url)
  try {
    await work(client)
    if (failures.length > 0) throw new Error(`the registry logged ${failures.join('')}`)
  } finally {
    await client.close()
    await server.stop()
  }
}
