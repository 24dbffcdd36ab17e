// The real server with a registry in memory, for what is decided below the application: connections and their parser.
import type { Test } from 'tap'
import { loadConfig } from '../../lib/config/load.ts'
import { createLogger } from '../../lib/log.ts'
import { startServer } from '../../lib/server.ts'
import { driverSections } from './driver-sections.ts'
import type { LogLine } from './http-client.ts'

/** Starts a server on a free port of loopback that ends with the test. It logs what is an error and nothing else. */
export async function startMemoryServer(t: Test) {
  const text = '{version: 0.1, storage: {inmemory: {}, delete: {enabled: true}}, http: {addr: "127.0.0.1:0"}}'
  const logLines: LogLine[] = []
  const server = await startServer({
    config: loadConfig({ text, env: {}, drivers: driverSections }).config,
    logger: createLogger({
      level: 'error',
      formatter: 'json',
      fields: {},
      write: line => void logLines.push(JSON.parse(line) as LogLine),
    }),
    version: 'test',
  })
  t.teardown(() => server.stop())
  const { url } = server.addresses
  return { url, port: Number(new URL(url).port), logLines }
}
