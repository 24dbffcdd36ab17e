// The words of `registry garbage-collect`, `scrub` and `readonly`; what they do is imported only when it is done.
import type { Command } from 'commander'
import type { GarbageCollectOptions } from './garbage-collect.ts'
import type { Io } from './io.ts'
import type { Place } from './maintenance-client.ts'
import type { ScrubCommandOptions } from './scrub.ts'

const configArgument = 'configuration file (default: $REGISTRY_CONFIGURATION_PATH)'

export function addMaintenanceCommands(program: Command, io: Io, report: (exitCode: number) => void): void {
  withPlace(program.command('garbage-collect'))
    .description('remove blobs that nothing refers to; a running server does it itself, if it is found')
    .argument('[config]', configArgument)
    .option('-d, --dry-run', 'only say what would be removed')
    .option('-m, --delete-untagged', 'remove manifests without a tag, too')
    .option('-q, --quiet', 'do not say what is marked and removed')
    .option('--concurrency <n>', 'files that are read at once', '8')
    .option('--grace <duration>', 'what is younger is left alone', '1h')
    .option('--json', 'print the outcome as JSON')
    .action(async (config: string | undefined, options: GarbageCollectOptions) => {
      const { garbageCollect } = await import('./garbage-collect.ts')
      report(await garbageCollect({ ...options, config }, io))
    })

  withPlace(program.command('scrub'))
    .description('read what is stored again, and put what is damaged into quarantine')
    .argument('[config]', configArgument)
    .option('--repository <pattern>', 'only what repositories such as team/* have')
    .option('--rate <size>', 'bytes per second, such as 50MB')
    .option('--dry-run', 'only say what is damaged')
    .option('--quarantine', 'put what is damaged into quarantine (that is the default)')
    .option('--refetch', 'fetch what was mirrored again at once')
    .option('--json', 'print the outcome as JSON')
    .action(async (config: string | undefined, options: ScrubCommandOptions) => {
      const { scrubStore } = await import('./scrub.ts')
      report(await scrubStore({ ...options, config }, io))
    })

  program
    .command('readonly')
    .description('have a running server refuse writes, or take them again')
    .argument('<on|off|status>', 'what to do')
    .argument('[config]', configArgument)
    .option('--server <url>', 'the http.debug.addr of the server')
    .action(async (what: string, config: string | undefined, options: Place) => {
      const { switchReadOnly } = await import('./read-only.ts')
      report(await switchReadOnly(what, { ...options, config }, io))
    })
}

function withPlace(command: Command): Command {
  return command
    .option('--server <url>', 'the http.debug.addr of the server that does it')
    .option('--offline', 'work on the store itself, whether a server runs or not')
}
