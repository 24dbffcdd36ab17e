// The command line of `registry-api-descriptor-template`: executes a template in Go's language with the descriptions of
// the API's routes and errors, which is how docs/api.md is made.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { allowEverything } from '../auth/none.ts'
import { describeApi } from '../http/api/descriptors.ts'
import type { Endpoint } from '../http/endpoint.ts'
import { createEndpoints } from '../http/endpoints.ts'
import { addressDirectly } from '../http/router.ts'
import { createUrlBuilder } from '../http/url-builder.ts'
import { createLogger, describeError } from '../log.ts'
import type { Registry } from '../registry/registry.ts'
import { apiFunctions } from './api-functions.ts'
import type { Io } from './io.ts'
import { createProgram, runProgram } from './program.ts'
import { executeTemplate } from './template/execute.ts'
import { TemplateError } from './template/template-error.ts'

const name = 'registry-api-descriptor-template'

/** Settles with the exit code: 1 where the template cannot be read or executed, and then nothing is on stdout. */
export async function apiDescriptorTemplateMain(argv: readonly string[], io: Io): Promise<number> {
  let exitCode = 0
  const program = createProgram(name, io)
    .description('Executes a template with the descriptions of routes and errors.')
    .usage('[options] <template>')
    .argument('[template...]')
    .action(async (templates: readonly string[]) => {
      const [template] = templates
      if (template === undefined || templates.length > 1) {
        io.stderr.write(`${name}: please specify a template to execute.\n`)
        exitCode = 1
      } else exitCode = await execute(template, io)
    })
  return runProgram(program, argv, () => exitCode)
}

async function execute(file: string, io: Io): Promise<number> {
  try {
    const source = { name: path.basename(file), text: await readFile(file, 'utf8') }
    io.stdout.write(executeTemplate(source, describeApi(allEndpoints()), apiFunctions))
    return 0
  } catch (err) {
    if (!(err instanceof TemplateError) && !isSystemError(err)) throw err
    io.stderr.write(`${name}: ${describeError(err)}\n`)
    return 1
  }
}

function isSystemError(err: unknown): boolean {
  return err instanceof Error && 'syscall' in err
}

/** The endpoints of a registry without content: they are described, and never asked. */
function allEndpoints(): readonly Endpoint[] {
  const nothing: Registry = { repository: refuse, repositories: refuse }
  return createEndpoints({
    registry: nothing,
    urls: createUrlBuilder({ host: undefined, prefix: '', relativeUrls: false }),
    access: allowEverything,
    address: addressDirectly,
    logger: createLogger({ level: 'error', formatter: 'text', fields: {}, write: () => {} }),
    settings: { secret: '', maxTags: 0, maxCatalogEntries: 0 },
  })
}

function refuse(): never {
  throw new TypeError('Cannot answer: these endpoints are for descriptions only')
}
