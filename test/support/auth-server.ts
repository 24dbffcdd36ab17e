// The real server with a registry in memory that asks who its clients are, and what tests say to it.
import type { Test } from 'tap'
import { bcrypt } from 'hash-wasm'
import type { Clock } from '../../lib/clock.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { createLogger } from '../../lib/log.ts'
import { startServer } from '../../lib/server.ts'
import { driverSections } from './driver-sections.ts'
import type { LogLine } from './http-client.ts'

export interface AuthServerOptions {
  /** Top-level keys as YAML in flow style: `auth: {…}, access: […]`. */
  readonly more: string
  readonly clock?: Clock
  /** Keys of `http` beside its address. */
  readonly http?: string
}

/** The server ends with the test. */
export async function startAuthServer(t: Test, { more, clock, http = '' }: AuthServerOptions) {
  const text = `{version: 0.1, storage: {inmemory: {}, delete: {enabled: true}}, http: {addr: "127.0.0.1:0", debug: {addr: "127.0.0.1:0", prometheus: {enabled: true}}${http}}, ${more}}`
  const logLines: LogLine[] = []
  const server = await startServer({
    config: loadConfig({ text, env: {}, drivers: driverSections }).config,
    logger: createLogger({
      level: 'info',
      formatter: 'json',
      fields: {},
      write: line => void logLines.push(JSON.parse(line) as LogLine),
    }),
    version: 'test',
    ...(clock && { clock }),
  })
  t.teardown(() => server.stop())
  const { url } = server.addresses
  return {
    url,
    logLines,
    ask: (path: string, authorization?: string, init: RequestInit = {}) =>
      fetch(url + path, {
        ...init,
        headers: new Headers([
          ...(authorization === undefined ? [] : [['authorization', authorization] as [string, string]]),
          ...new Headers(init.headers),
        ]),
      }),
    async metric(name: string): Promise<number> {
      const text = await (await fetch(`http://${server.addresses.debug}/metrics`)).text()
      const line = text.split('\n').find(line => line.startsWith(`${name} `))
      return Number(line?.slice(name.length) ?? 0)
    },
  }
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** A line of an htpasswd file, of the least cost. */
export async function htpasswdLine(user: string, password: string): Promise<string> {
  const salt = Buffer.alloc(16, user)
  return `${user}:${await bcrypt({ password, salt, costFactor: 4, outputType: 'encoded' })}\n`
}
