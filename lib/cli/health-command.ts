// `registry health` as the command line has it; what it does is loaded when it is wanted.
import type { Command } from 'commander'
import type { Io } from './io.ts'

export function addHealthCommand(program: Command, io: Io, report: (exitCode: number) => void): void {
  program
    .command('health')
    .description('ask the running server of a configuration whether it is healthy')
    .argument('[config]', 'configuration file (default: $REGISTRY_CONFIGURATION_PATH)')
    .option('--server <url>', 'its debug listener (default: as the configuration says)')
    .addHelpText('after', '\nExit status: 0 if it is healthy, 1 if it is not or does not answer.')
    .action(async (config: string | undefined, { server }: { readonly server?: string }) => {
      const { health } = await import('./health.ts')
      report(await health({ config, server }, io))
    })
}
