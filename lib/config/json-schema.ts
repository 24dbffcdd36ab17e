// The schema of the file for editors, and for documents: JSON Schema (draft 2020-12), from the schema that the file is
// checked with. It cannot tell everything, what keys must agree on for one; what it refuses is refused here, too, save
// that words may be written in other cases.
import type { z } from 'zod'
import { keyAt } from './keys.ts'
import { below, isList, isMap, keysOf, traitsOf } from './outline.ts'
import type { Traits } from './schema.ts'

export type JsonSchema = Readonly<Record<string, unknown>>

const durationPattern = String.raw`^[+-]?(\d+|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$`
const sizePattern = String.raw`^\d+(\.\d+)? ?([kKmMgGtTpP]?[iI]?[bB])?$`

export function toJsonSchema(schema: z.core.$ZodType, title: string): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title,
    ...described(schema, ''),
    // A driver is needed, which the schema leaves to agreement.ts.
    required: ['version', 'storage'],
  }
}

function described(schema: z.core.$ZodType, path: string): JsonSchema {
  const traits = traitsOf(schema)
  const key = keyAt(path)
  return {
    ...(key === undefined ? {} : { description: key.meaning }),
    ...(key?.value === undefined ? {} : { default: key.value }),
    ...shaped(schema, traits, path),
  }
}

function shaped(schema: z.core.$ZodType, traits: Traits, path: string): JsonSchema {
  if (isList(schema)) {
    const element = below(schema, 0)
    const items = element === undefined ? {} : described(element, `${path}[]`)
    const isOfScalars = element !== undefined && keysOf(element) === undefined
    return { anyOf: [{ type: ['array', 'null'], items }, ...(isOfScalars ? [items] : [])] }
  }
  if (isMap(schema)) {
    const value = below(schema, '')
    const additionalProperties = value === undefined ? {} : described(value, `${path}.*`)
    return { type: ['object', 'null'], additionalProperties }
  }
  const keys = keysOf(schema)
  if (keys === undefined) return scalar(traits, isRequired(schema) ? [] : [null])
  const map = {
    type: isRequired(schema) ? 'object' : ['object', 'null'],
    properties: Object.fromEntries(keys.map(key => [key, property(schema, key, path)])),
    ...requiredOf(schema, keys),
    additionalProperties: false,
  }
  if (traits.shorthand === undefined) return map
  return { anyOf: [map, { type: ['string', 'boolean', 'null'], description: traits.shorthand }] }
}

function property(section: z.core.$ZodType, key: string, path: string): JsonSchema {
  const there = below(section, key)
  return there === undefined ? {} : described(there, path === '' ? key : `${path}.${key}`)
}

function requiredOf(section: z.core.$ZodType, keys: readonly string[]): JsonSchema {
  const required = keys.filter(key => {
    const there = below(section, key)
    return there !== undefined && isRequired(there)
  })
  return required.length === 0 ? {} : { required }
}

/** Whether leaving it out is an error. */
function isRequired(schema: z.core.$ZodType): boolean {
  return !(schema as z.ZodType).safeParse(undefined).success
}

/** `nothing` is null where a value may be left out. */
function scalar({ kind, expected }: Traits, nothing: readonly null[]): JsonSchema {
  const orNull = nothing.map(() => 'null')
  const hint = expected === undefined || expected === 'a string' ? {} : { title: expected }
  switch (kind?.is) {
    case 'flag':
      return { enum: [true, false, 'true', 'false', 'yes', 'no', 'on', 'off', 'y', 'n', ...nothing] }
    case 'integer': {
      const minimum = kind.least === undefined ? {} : { minimum: kind.least }
      return { type: ['integer', 'string', ...orNull], ...minimum, pattern: String.raw`^[+-]?\d+$` }
    }
    case 'choice': {
      const numbers = kind.words.filter(word => /^\d/.test(word)).map(Number)
      return { enum: [...kind.words, ...numbers, ...nothing] }
    }
    case 'duration':
      return { ...hint, type: ['string', 'integer', ...orNull], pattern: durationPattern }
    case 'size':
      return { ...hint, type: ['string', 'integer', ...orNull], pattern: sizePattern }
    case 'url':
      return { ...hint, type: ['string', ...orNull], pattern: '^([Hh][Tt][Tt][Pp][Ss]?://.*)?$' }
    case 'nothing':
      return { type: ['array', 'object', 'string', 'null'] }
    case undefined:
      return { ...hint, type: ['string', 'number', 'boolean', ...orNull] }
  }
}
