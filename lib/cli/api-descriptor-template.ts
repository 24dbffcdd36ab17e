// The command line of `registry-api-descriptor-template`, which in distribution writes the API's documentation from a
// template. Here it says what it is; executing templates is still to come.
import type { Io } from './io.ts'
import { createProgram, runProgram } from './program.ts'

/** Settles with the exit code. */
export async function apiDescriptorTemplateMain(argv: readonly string[], io: Io): Promise<number> {
  const name = 'registry-api-descriptor-template'
  const program = createProgram(name, io)
    .description('Executes a template with the descriptions of routes and errors (not supported yet).')
    .argument('[template]')
    .action((template: string | undefined) => {
      const failure = template === undefined ? 'please specify a template to execute.' : 'not supported yet'
      io.stderr.write(`${name}: ${failure}\n`)
    })
  return runProgram(program, argv, () => 1)
}
