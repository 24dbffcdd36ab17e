// The words of `registry config`: arguments, options and help. What it does is in config.ts, imported when it is done.
import type { Command } from 'commander'
import type { Io } from './io.ts'

export interface ConfigSurroundings {
  readonly io: Io
  /** Takes the exit code of a command that has run. */
  readonly report: (exitCode: number) => void
}

const file = ['[config]', 'configuration file (default: $REGISTRY_CONFIGURATION_PATH)'] as const

export function addConfigCommands(program: Command, { io, report }: ConfigSurroundings): void {
  const config = program.command('config').description('check the configuration, and show what counts of it')

  config
    .command('check')
    .description('report every problem, unknown keys among them; without one, print what counts')
    .argument(...file)
    .option('--json', 'print JSON')
    .action(async (path: string | undefined, { json }: { readonly json?: boolean }) => {
      const { showConfig } = await import('./config.ts')
      report(await showConfig(path, io, { json, unknownKeys: 'problem' }))
    })

  config
    .command('show')
    .description('print what counts: file, environment and defaults, without secrets')
    .argument(...file)
    .option('--json', 'print JSON')
    .action(async (path: string | undefined, { json }: { readonly json?: boolean }) => {
      const { showConfig } = await import('./config.ts')
      report(await showConfig(path, io, { json, unknownKeys: 'warning' }))
    })

  config
    .command('schema')
    .description('print the JSON Schema of the file, for editors')
    .option('--tables', 'print all keys as tables of Markdown instead')
    .action(async ({ tables }: { readonly tables?: boolean }) => {
      const { printSchema, printTables } = await import('./config.ts')
      if (tables === true) printTables(io)
      else printSchema(io)
      report(0)
    })
}
