// `registry doctor`: checks the way from a client to a registry and into it, and says what to fix. One line a check.
import { systemClock } from '../../clock.ts'
import { ConfigError } from '../../config/config-error.ts'
import type { Config } from '../../config/config.ts'
import { describeError } from '../../log.ts'
import { readConfiguration } from '../configuration.ts'
import { tellingFailures } from '../failures.ts'
import type { Io } from '../io.ts'
import { printable } from '../table.ts'
import { fail, ok, warn, type Finding } from './check.ts'
import { checkClient, clientNames, type ClientName } from './clients.ts'
import { checkConnection } from './connection.ts'
import { checkPull } from './pull.ts'
import { checkServer, urlOf } from './server.ts'

export interface DoctorOptions {
  readonly config?: string | undefined
  readonly image?: string | undefined
  readonly client?: ClientName | undefined
  readonly json?: boolean | undefined
  /** Where the files of clients lie. */
  readonly root?: string | undefined
}

/** Settles with the exit code: 1 if a check failed. */
export function doctor(io: Io, text: string | undefined, options: DoctorOptions): Promise<number> {
  return tellingFailures(io, async signal => {
    const findings: Finding[] = []
    for await (const finding of examine(io, text, options)) {
      signal.throwIfAborted()
      findings.push(finding)
      if (options.json !== true) io.stdout.write(textOf(finding))
    }
    if (options.json === true) io.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`)
    return findings.some(({ verdict }) => verdict === 'fail') ? 1 : 0
  })
}

async function* examine(io: Io, text: string | undefined, options: DoctorOptions): AsyncGenerator<Finding> {
  let config: Config | undefined
  if (text === undefined || options.config !== undefined) {
    try {
      const loaded = await readConfiguration(options.config, io)
      config = loaded.config
      yield ok('config', 'the configuration is good')
      for (const warning of loaded.warnings) yield warn('config', warning)
    } catch (err) {
      if (!(err instanceof ConfigError)) throw err
      yield fail('config', describeError(err), 'Mend the file, or give the URL of a registry.')
      return
    }
  }
  if (config !== undefined) yield* checkServer(config)
  const url = text === undefined ? config && urlOf(config) : parseUrl(text)
  if (url === undefined) {
    yield warn(
      'name',
      'the configuration does not say where clients find it',
      'Give the URL of the registry.',
    )
    return
  }
  let isReached = true
  for await (const finding of checkConnection(url, systemClock)) {
    if (finding.verdict === 'fail') isReached = false
    yield finding
  }
  if (isReached && options.image !== undefined) yield* checkPull(url, options.image)
  for (const client of clientNames) {
    if (options.client === undefined || options.client === client)
      yield await checkClient(client, url, options.root ?? '/')
  }
}

function parseUrl(text: string): URL {
  const url = text.includes('://') ? text : `https://${text}`
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return new URL(url)
  throw new Error(`Cannot use "${text}": expected a URL such as https://mirror.example.com`)
}

function textOf({ check, verdict, found, remedy = '' }: Finding): string {
  const lines = remedy.split('\n').filter(line => line !== '')
  const marks = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const
  return [`${marks[verdict]}  ${check.padEnd(11)}  ${found}`, ...lines.map(line => `        ${line}`)]
    .map(line => `${printable(line)}\n`)
    .join('')
}
