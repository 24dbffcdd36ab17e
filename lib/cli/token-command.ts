// `registry token` as the command line has it; what it does is loaded when it is wanted.
import type { Command } from 'commander'
import type { Io } from './io.ts'
import type { TokenOptions } from './token.ts'

export function addTokenCommand(
  program: Command,
  { io, report }: { readonly io: Io; readonly report: (exitCode: number) => void },
): void {
  program
    .command('token')
    .description('print a token that the registry takes (needs tokenservice.keys)')
    .option('-c, --config <file>', 'configuration file (default: $REGISTRY_CONFIGURATION_PATH)')
    .requiredOption('-u, --user <name>', 'whose name it bears')
    .option(
      '-s, --scope <scope>',
      'what it allows, as repository:team/app:pull,push; several times for more',
      (scope: string, earlier: readonly string[]) => [...earlier, scope],
      [] as readonly string[],
    )
    .option('-e, --expiry <duration>', 'how long it is good (default: tokenservice.expiry)')
    .action(async (options: TokenOptions) => {
      const { printToken } = await import('./token.ts')
      report(await printToken(options, io))
    })
}
