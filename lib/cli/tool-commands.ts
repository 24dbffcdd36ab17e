// The words of `registry import`, `export`, `doctor` and `completion`, and what the help of all commands ends with. What
// they do is in the files of their names, which are imported only when it is done.
import { Option, type Command } from 'commander'
import type { DoctorOptions } from './doctor/doctor.ts'
import type { ExportCommandOptions } from './export.ts'
import type { ImportCommandOptions } from './import.ts'
import type { Io } from './io.ts'

const exitCodes = '\nExit codes: 0 when all went well, 1 when it did not; stderr says why.\n'

/** To be called after all other commands were added. */
export function addToolCommands(program: Command, io: Io, report: (exitCode: number) => void): void {
  program
    .command('import')
    .description('bring images of an archive into the store: an OCI layout, or what docker save wrote')
    .argument('<source>', 'a directory, a tar, a tar with gzip, or - for stdin')
    .argument('[config]', 'configuration file (default: $REGISTRY_CONFIGURATION_PATH)')
    .option('--repository <name>', 'store under this name, not the one in the archive')
    .option('--tag <tag>', 'the image with this tag; or the tag for the only image')
    .option('--all', 'all images of the archive')
    .option('--allow-missing', 'take an index without the images that the archive lacks')
    .option('--max-size <size>', 'the most that a compressed archive may unpack to (default: 100GB)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'import app.tar config.yml --repository team/app --tag 1.0',
        'import --all images.tar.gz config.yml',
        'import --repository team/app - config.yml <app.tar',
      ),
    )
    .action(async (source: string, config: string | undefined, options: ImportCommandOptions) => {
      const { importArchive } = await import('./import.ts')
      report(await importArchive(io, source, config, options))
    })

  program
    .command('export')
    .description('write an image of the store as an archive')
    .argument('<image>', 'repository, repository:tag or repository@digest, as the store has it')
    .argument('[config]', 'configuration file (default: $REGISTRY_CONFIGURATION_PATH)')
    .addOption(new Option('--format <format>', 'of the archive').choices(['oci', 'docker']).default('oci'))
    .option('--output <file>', 'the archive; - is stdout (default: -)')
    .option('--platform <platform>', 'only the image for this one, such as linux/arm64')
    .option('--with-referrers', 'also signatures, bills of materials and other referrers')
    .option('--allow-missing', 'leave out what the store lacks')
    .addHelpText(
      'after',
      examples(
        'export team/app:1.0 config.yml --output app.tar',
        'export team/app:1.0 config.yml --format docker --platform linux/amd64 | docker load',
      ),
    )
    .action(async (image: string, config: string | undefined, options: ExportCommandOptions) => {
      const { exportImage } = await import('./export.ts')
      report(await exportImage(io, image, config, options))
    })

  program
    .command('doctor')
    .description('check a registry from end to end, and the clients on this machine; say what to fix')
    .argument('[url]', 'of the registry (default: what the configuration says)')
    .option('--config <file>', 'configuration file of the registry')
    .option('--image <image>', 'pull this one through it, such as library/busybox:latest')
    .addOption(
      new Option('--client <client>', 'only this one').choices([
        'docker',
        'containerd',
        'podman',
        'buildkit',
      ]),
    )
    .option('--json', 'print JSON')
    .addOption(new Option('--root <dir>', 'where the files of clients lie').default('/').hideHelp())
    .addHelpText(
      'after',
      examples(
        'doctor https://mirror.example.com',
        'doctor --config config.yml --image library/busybox:latest',
      ),
    )
    .action(async (url: string | undefined, options: DoctorOptions) => {
      const { doctor } = await import('./doctor/doctor.ts')
      report(await doctor(io, url, options))
    })

  program
    .command('completion')
    .description('print a script that completes the words of this program in a shell')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      examples(
        'completion bash >/etc/bash_completion.d/registry',
        'completion fish >~/.config/fish/completions/registry.fish',
      ),
    )
    .action(async (shell: string) => {
      const { completionScript } = await import('./completion.ts')
      const script = completionScript(program, shell)
      if (script === undefined) {
        io.stderr.write(`registry: Cannot complete in "${shell}": expected bash, zsh or fish\n`)
        return report(1)
      }
      io.stdout.write(script)
    })

  for (const command of program.commands) describeExit(command)
}

function describeExit(command: Command): void {
  if (command.commands.length === 0) command.addHelpText('after', exitCodes)
  else command.commands.forEach(describeExit)
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map(line => `  registry ${line}\n`).join('')}`
}
