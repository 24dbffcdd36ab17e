// What all our programs have in common: --help, --version, output through Io, and exit codes instead of exits.
import { Command, CommanderError } from 'commander'
import { productName, revision, version } from '../version.ts'
import type { Io } from './io.ts'

/** A program called `name`, without arguments or commands yet. */
export function createProgram(name: string, io: Io): Command {
  return new Command(name)
    .version(`${name} ${productName} ${version} ${revision}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .configureOutput({ writeOut: text => io.stdout.write(text), writeErr: text => io.stderr.write(text) })
    .exitOverride()
}

/**
 * The exit code of `program`, which reports its own through `exitCode()` where it ran: 0 after help, `misuse` where the
 * arguments make no sense.
 */
export async function runProgram(
  program: Command,
  argv: readonly string[],
  exitCode: () => number,
  misuse = 1,
): Promise<number> {
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCode()
  } catch (err) {
    if (!(err instanceof CommanderError)) throw err
    return err.exitCode === 0 ? 0 : misuse
  }
}
