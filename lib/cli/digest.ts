// The command line of `digest`: prints the digests of files, as distribution's program of that name does.
import { createReadStream } from 'node:fs'
import { Option } from 'commander'
import { describeError } from '../log.ts'
import { Hasher, type Digest, type DigestAlgorithm } from '../oci/digest.ts'
import type { Io } from './io.ts'
import { createProgram, runProgram } from './program.ts'

const misuse = 2

/** Settles with the exit code: 1 where a file cannot be read (the others are printed), 2 for wrong arguments. */
export async function digestMain(argv: readonly string[], io: Io): Promise<number> {
  let exitCode = 0
  const algorithm = new Option('-a, --algorithm <name>', 'digest algorithm')
    .choices(['sha256', 'sha512'])
    .default('sha256')
  const program = createProgram('digest', io)
    .description('Prints the digest of each file, or of stdin where the file is - or there is none.')
    .argument('[files...]')
    .addOption(algorithm)
    .action(async (files: readonly string[], options: { readonly algorithm: DigestAlgorithm }) => {
      for (const file of files.length === 0 ? ['-'] : files) {
        try {
          io.stdout.write(`${await digestOfFile(file, options.algorithm, io)}\t${file}\n`)
        } catch (err) {
          io.stderr.write(`digest: ${file}: ${describeError(err)}\n`)
          exitCode = 1
        }
      }
    })
  return runProgram(program, argv.map(withTwoDashes), () => exitCode, misuse)
}

async function digestOfFile(file: string, algorithm: DigestAlgorithm, io: Io): Promise<Digest> {
  const hasher = new Hasher(algorithm)
  for await (const chunk of file === '-' ? io.stdin : createReadStream(file))
    hasher.update(chunk as Uint8Array)
  return hasher.digest()
}

/** Go programs take their long options with a single dash as well. */
function withTwoDashes(argument: string): string {
  return /^-(?:algorithm|version|help)\b/.test(argument) ? `-${argument}` : argument
}
