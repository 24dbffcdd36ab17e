// YAML → maps, lists, nulls and strings: each scalar stays the text that was written, because only the schema knows
// which type is wanted there (schema.ts). Two habits of distribution's parser are kept: merge keys (`<<`) work, and of
// a key that occurs twice the last one counts.
import yaml from 'js-yaml'
import { ConfigError } from './config-error.ts'

export interface Parsed {
  /** null: an empty text. */
  readonly value: unknown
  readonly warnings: readonly string[]
}

const nothing = new yaml.Type('tag:yaml.org,2002:null', {
  kind: 'scalar',
  resolve: (text: string | null) => text === null || ['', '~', 'null', 'Null', 'NULL'].includes(text),
  construct: () => null,
})
const merge = new yaml.Type('tag:yaml.org,2002:merge', {
  kind: 'scalar',
  resolve: (text: unknown) => text === '<<',
})
const schema = yaml.FAILSAFE_SCHEMA.extend({ implicit: [nothing, merge] })

/** Parses one YAML document; throws ConfigError where it is none. */
export function parseYaml(text: string): Parsed {
  try {
    return { value: yaml.load(text, { schema }) ?? null, warnings: [] }
  } catch (err) {
    if (!isDuplicateKey(err)) throw notYaml(err)
    return {
      value: parseLenient(text),
      warnings: [`${placeOf(err)}: a key occurs twice; the last one counts`],
    }
  }
}

/** js-yaml's `json` option is about duplicate keys alone: with it, the last one counts. */
function parseLenient(text: string): unknown {
  try {
    return yaml.load(text, { schema, json: true })
  } catch (err) {
    throw notYaml(err)
  }
}

function isDuplicateKey(err: unknown): err is yaml.YAMLException {
  return err instanceof yaml.YAMLException && err.reason === 'duplicated mapping key'
}

function notYaml(err: unknown): unknown {
  if (!(err instanceof yaml.YAMLException)) return err
  return new ConfigError(
    [`${placeOf(err)}: found what is not YAML (${err.reason}), expected one YAML document`],
    {
      cause: err,
    },
  )
}

function placeOf({ mark }: yaml.YAMLException): string {
  // Not every exception has a mark, whatever the types say: a second document has none.
  const place = mark as yaml.Mark | undefined
  return place === undefined ? 'file' : `line ${place.line + 1}, column ${place.column + 1}`
}
