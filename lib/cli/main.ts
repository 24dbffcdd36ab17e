// The command line of `registry`: one entry per command, each of which is a file beside this one, imported only when it
// is wanted, so that `--version` and `--help` answer quickly.
import { addCacheCommands } from './cache-commands.ts'
import { addConfigCommands } from './config-commands.ts'
import type { OpenOffline } from './find-cache.ts'
import { addHealthCommand } from './health-command.ts'
import type { Io } from './io.ts'
import { addMaintenanceCommands } from './maintenance-commands.ts'
import { createProgram, runProgram } from './program.ts'
import { addToolCommands } from './tool-commands.ts'
import { addTokenCommand } from './token-command.ts'

export interface MainOptions {
  /** Opens the cache of a store that no server need work on. */
  readonly openOffline?: OpenOffline | undefined
}

/** Runs `registry` with its arguments, the program's own name left out. Settles with the exit code. */
export async function main(
  argv: readonly string[],
  io: Io,
  { openOffline = openStore }: MainOptions = {},
): Promise<number> {
  let exitCode = 0
  const program = createProgram('registry', io).description(
    'An OCI registry that is also a pull-through cache.\n' +
      'Environment variables go over the configuration file: REGISTRY_HTTP_ADDR sets http.addr.',
  )
  program
    .command('serve')
    .description('serve until SIGTERM or SIGINT')
    .argument('[config]', 'configuration file (default: $REGISTRY_CONFIGURATION_PATH)')
    .action(async (config: string | undefined) => {
      const { serve } = await import('./serve.ts')
      exitCode = await serve(config, io)
    })
  addCacheCommands(program, { io, openOffline, report: code => (exitCode = code) })
  addConfigCommands(program, { io, report: code => (exitCode = code) })
  addHealthCommand(program, io, code => (exitCode = code))
  addTokenCommand(program, { io, report: code => (exitCode = code) })
  addMaintenanceCommands(program, io, code => (exitCode = code))
  addToolCommands(program, io, code => (exitCode = code))
  return runProgram(program, argv, () => exitCode)
}

const openStore: OpenOffline = async config => {
  const { openOfflineCache } = await import('../offline-cache.ts')
  return openOfflineCache(config)
}
