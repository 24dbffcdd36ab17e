import t from 'tap'
import type { z } from 'zod'
import { keyAt, keys } from '../../lib/config/keys.ts'
import { below, isList, isMap, keysOf, traitsOf } from '../../lib/config/outline.ts'
import { configSchema } from '../../lib/config/sections.ts'
import { driverSections } from '../support/driver-sections.ts'

/** Every path, and whether it is of a single value. */
function* pathsBelow(schema: z.core.$ZodType, path: string): Generator<readonly [string, boolean]> {
  const isInert = traitsOf(schema).inert !== undefined && keysOf(schema) !== undefined
  const element = isList(schema) ? below(schema, 0) : isMap(schema) ? below(schema, '') : undefined
  const known = keysOf(schema) ?? []
  if (path !== '') yield [path, element === undefined && known.length === 0]
  if (element !== undefined) {
    for (const [at] of pathsBelow(element, path + (isList(schema) ? '[]' : '.*')))
      yield [at, !at.endsWith(']') && at !== `${path}.*`]
  }
  for (const key of known) {
    const there = below(schema, key)
    if (there === undefined) continue
    for (const [at, isValue] of pathsBelow(there, path === '' ? key : `${path}.${key}`))
      yield [at, isValue && !isInert]
  }
}

t.test('each key of the configuration has a meaning, and nothing else has', async t => {
  const paths = [...pathsBelow(configSchema(driverSections), '')]
  const known = new Set(paths.map(([path]) => path))
  const values = paths.filter(([path, isValue]) => isValue && !path.endsWith('[]') && !path.endsWith('.*'))

  t.same(
    values
      .map(([path]) => path)
      .filter(
        path =>
          keyAt(path) === undefined && !/\.(?:tls|limits|timeouts|exec|ignore|smtp|options)$/.test(path),
      ),
    [],
  )
  t.same(
    Object.keys(keys).filter(path => !known.has(path)),
    [],
  )
})
