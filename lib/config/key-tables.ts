// Every key of the configuration with its type, default and meaning, as tables of Markdown: one for each section.
import type { z } from 'zod'
import { keyAt } from './keys.ts'
import { below, isList, isMap, keysOf, traitsOf } from './outline.ts'
import type { Traits } from './schema.ts'

interface Row {
  readonly path: string
  readonly type: string
}

const theRest = 'The rest'
/** Sections that have a table of their own, below the first level. */
const large = [
  'proxy.upstreams',
  'proxy.cache',
  'http.tls',
  'storage.maintenance',
  'storage.s3',
  'storage.s3aws',
]

export function keyTables(schema: z.core.$ZodType): string {
  const tables = new Map<string, string[]>()
  for (const { path, type } of rowsBelow(schema, '')) {
    const key = keyAt(path)
    // Of what has no effect the section is enough.
    if (key === undefined) continue
    const heading = headingOf(path)
    const value = key.value === undefined ? '' : `\`${key.value}\``
    const row = `| \`${path}\` | ${type} | ${value} | ${key.meaning.replaceAll('|', '\\|')} |`
    tables.set(heading, [...(tables.get(heading) ?? []), row])
  }
  const header = '| key | type | default | meaning |\n| --- | --- | --- | --- |'
  return [...tables].map(([heading, rows]) => `### ${heading}\n\n${header}\n${rows.join('\n')}\n`).join('\n')
}

function headingOf(path: string): string {
  const plain = path.replaceAll('[]', '')
  const own = large.find(section => plain === section || plain.startsWith(`${section}.`))
  const [first = ''] = plain.split('.')
  if (own !== undefined) return own
  return ['version', 'loglevel', 'catalog', 'tags', 'redis'].includes(first) ? theRest : first
}

function* rowsBelow(schema: z.core.$ZodType, path: string): Generator<Row> {
  if (path !== '') yield { path, type: typeOf(schema) }
  const element = isList(schema) ? below(schema, 0) : isMap(schema) ? below(schema, '') : undefined
  if (element !== undefined && keysOf(element) !== undefined) {
    for (const row of rowsBelow(element, isList(schema) ? `${path}[]` : `${path}.*`))
      if (row.path !== `${path}[]`) yield row
  }
  for (const key of keysOf(schema) ?? []) {
    const there = below(schema, key)
    if (there !== undefined) yield* rowsBelow(there, path === '' ? key : `${path}.${key}`)
  }
}

function typeOf(schema: z.core.$ZodType): string {
  const element = isList(schema) ? below(schema, 0) : undefined
  if (element !== undefined) {
    return keysOf(element) === undefined ? `list of ${scalarType(traitsOf(element))}` : 'list of maps'
  }
  if (isMap(schema) || keysOf(schema) !== undefined) return 'map'
  return scalarType(traitsOf(schema))
}

/** As they stand in a cell of a table. */
function wordsOf(expected: string): string {
  return expected.replace(/^an? /, '').replaceAll('|', '\\|').replaceAll('*', '\\*')
}

function scalarType({ kind, secret, expected }: Traits): string {
  if (secret === true) return 'secret'
  switch (kind?.is) {
    case 'flag':
      return 'boolean'
    case 'choice':
      return kind.words
        .filter(word => word !== '')
        .map(word => `\`${word}\``)
        .join(', ')
    case 'url':
      return 'URL'
    case 'nothing':
      return 'empty'
    default:
      return kind?.is ?? wordsOf(expected ?? 'string')
  }
}
