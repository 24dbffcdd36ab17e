// What a zod schema says about structure: which keys a section has, and what is below one. It lets the schema be the
// only description of the configuration, for environment variables and for hints in messages as well.
import * as z from 'zod'
import { outlines, traits, type Traits } from './schema.ts'

type Schema = z.core.$ZodType

/** The traits of a schema and of what it makes optional or converts; the outer ones count. */
export function traitsOf(schema: Schema): Traits {
  const wrapped = inner(schema)
  return { ...(wrapped === undefined ? {} : traitsOf(wrapped)), ...traits.get(schema) }
}

/** The known keys of a section; undefined where the schema is not one. */
export function keysOf(schema: Schema): readonly string[] | undefined {
  const core = coreOf(schema)
  return core instanceof z.ZodObject ? Object.keys(core.shape) : undefined
}

export function isMap(schema: Schema): boolean {
  return coreOf(schema) instanceof z.ZodRecord
}

export function isList(schema: Schema): boolean {
  return coreOf(schema) instanceof z.ZodArray
}

export function isScalar(schema: Schema): boolean {
  const core = coreOf(schema)
  return !(core instanceof z.ZodObject || core instanceof z.ZodArray || core instanceof z.ZodRecord)
}

/** The schema below `key`; undefined where nothing is known about it. */
export function below(schema: Schema, key: PropertyKey): Schema | undefined {
  const core = coreOf(schema)
  if (core instanceof z.ZodArray) return core.element
  if (core instanceof z.ZodRecord) return core.valueType
  if (core instanceof z.ZodObject && typeof key === 'string' && Object.hasOwn(core.shape, key)) {
    return core.shape[key] as Schema
  }
  return undefined
}

/** The schema at the end of `path`. */
export function at(schema: Schema, path: readonly PropertyKey[]): Schema | undefined {
  return path.reduce<Schema | undefined>((above, key) => above && below(above, key), schema)
}

function coreOf(schema: Schema): Schema {
  const wrapped = inner(schema)
  return wrapped === undefined ? schema : coreOf(wrapped)
}

/** One layer off: what is optional, has a default, or is converted before or after it is checked. */
function inner(schema: Schema): Schema | undefined {
  const outline = outlines.get(schema)
  if (outline !== undefined) return outline
  if (schema instanceof z.ZodPipe)
    return schema.def.in instanceof z.ZodTransform ? schema.def.out : schema.def.in
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly
  ) {
    return schema.def.innerType
  }
  return undefined
}
