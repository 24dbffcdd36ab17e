// Keys that nobody knows. distribution passes over them, and so do we, with a warning, lest a file that works there ends
// the program here. Where a key is ours alone it is an error instead, because there is no such file yet, and ignoring it
// could let somebody in, lose content or put it elsewhere. These fall on the side of errors (schema.ts: `ours`):
// access and tokenservice (who may do what), proxy.upstreams and all that the mirror has beyond one upstream (whose
// content is served, what is removed), policy.tags (what cannot be overwritten), storage.maintenance.garbagecollect and scrub (what is removed), notifications.queue (which events are
// kept), http.trustedproxies (who is believed), http.secretfile; and keys beside these that look like one of them
// misspelt. So do a scheme of `auth`, and what would be
// a storage driver, directly in these sections (`strict`). Everything else is distribution's, http.tls included.
import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { below, isList, isMap, keysOf, traitsOf } from './outline.ts'
import { unknownKey, type Problem } from './problems.ts'

export interface Known {
  /** What is left; the schema still refuses the unknown keys in it. */
  readonly tree: unknown
  /** What was taken out. */
  readonly ignored: readonly Problem[]
}

/** `tree` without the unknown keys that do no harm. */
export function withoutUnknownKeys(tree: unknown, schema: z.core.$ZodType): Known {
  const ignored: Problem[] = []
  const visit = (value: unknown, at: z.core.$ZodType, path: readonly PropertyKey[]): unknown => {
    if (typeof value !== 'object' || value === null || traitsOf(at).ours === true) return value
    if (Array.isArray(value)) {
      const element = isList(at) ? below(at, 0) : undefined
      return element === undefined
        ? value
        : value.map((one: unknown, index) => visit(one, element, [...path, index]))
    }
    const known = keysOf(at)
    if (known === undefined && !isMap(at)) return value
    const kept = Object.entries(value).flatMap(([key, one]): (readonly [string, unknown])[] => {
      const there = below(at, key)
      if (there !== undefined) return [[key, visit(one, there, [...path, key])]]
      if (mustBeKnown(key, at)) return [[key, one]]
      ignored.push(unknownKey(path, key, schema))
      return []
    })
    return Object.fromEntries(kept)
  }
  return { tree: visit(tree, schema, []), ignored }
}

/** Few mistakes only: a key that somebody made up, such as `x-defaults`, is not taken for one of ours. */
function mustBeKnown(key: string, section: z.core.$ZodType): boolean {
  if (traitsOf(section).strict === true) return true
  const ours = (keysOf(section) ?? []).filter(known => {
    const there = below(section, known)
    return there !== undefined && traitsOf(there).ours === true
  })
  return nearest(key, ours, Math.max(1, Math.floor(key.length / 4))) !== undefined
}
