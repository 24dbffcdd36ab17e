// The command line of `digest`: prints the digests of files, as distribution's program of that name does, with its exit
// codes and its long options behind one dash.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { CommanderError, Option } from 'commander'
import { describeError } from '../log.ts'
import type { Io } from './io.ts'
import { createProgram, runProgram } from './program.ts'

const misuse = 2

/** Settles with the exit code: 1 where a file cannot be read (the others are printed), 2 for wrong arguments. */
export async function digestMain(argv: readonly string[], io: Io): Promise<number> {
  let exitCode = 0
  const algorithm = new Option('-a, --algorithm <name>', 'digest algorithm')
    .choices(['sha256', 'sha384', 'sha512'])
    .default('sha256')
  const program = createProgram('digest', io)
    .description('Prints the digest of each file, or of stdin where the file is - or there is none.')
    .argument('[files...]')
    .addOption(algorithm)
    .helpOption(false)
    .option('-h, --help', 'print this help')
    .showHelpAfterError()
    .action(async (files: readonly string[], options: { readonly algorithm: string }) => {
      for (const file of files.length === 0 ? ['-'] : files) {
        try {
          io.stdout.write(`${await digestOfFile(file, options.algorithm, io)}\t${file}\n`)
        } catch (err) {
          io.stderr.write(`digest: ${file}: ${describeError(err)}\n`)
          exitCode = 1
        }
      }
    })
  // Programs in Go print it to stderr, whoever asks for it.
  program.on('option:help', () => {
    program.outputHelp({ error: true })
    throw new CommanderError(0, 'commander.help', '(outputHelp)')
  })
  return runProgram(program, argv.map(withTwoDashes), () => exitCode, misuse)
}

/** Not the registry's own hasher: this also knows an algorithm that the registry does not take. */
async function digestOfFile(file: string, algorithm: string, io: Io): Promise<string> {
  const hash = createHash(algorithm)
  for await (const chunk of file === '-' ? io.stdin : createReadStream(file)) hash.update(chunk as Uint8Array)
  return `${algorithm}:${hash.digest('hex')}`
}

/** Programs in Go take long options with one dash and short ones with two, and `=` for a value behind either. */
function withTwoDashes(argument: string): string {
  const [, name, rest = ''] = /^--?(a|algorithm|version|h|help)(=.*)?$/s.exec(argument) ?? []
  if (name === undefined) return argument
  return `--${longNames.get(name) ?? name}${rest}`
}

const longNames = new Map([
  ['a', 'algorithm'],
  ['h', 'help'],
])
