// What a client is told of how a mirror came by its answer.
import type { Provenance } from '../registry/registry.ts'
import type { Context } from './context.ts'

/** Says where an answer of a mirror came from. */
export const provenanceHeader = 'X-Cache'

/**
 * Sets X-Cache, Age (seconds since the upstream last confirmed what is given) and, where that is out of date, Warning: as
 * distribution-spec, "Warnings", wants it of every warning, and as RFC 7234 (5.5.1) has it.
 */
export function setProvenance(ctx: Context, { cache, stale, ageMs }: Provenance): void {
  if (cache !== undefined) ctx.set(provenanceHeader, cache)
  if (ageMs !== undefined) ctx.set('Age', String(Math.floor(ageMs / 1000)))
  if (stale !== undefined) ctx.set('Warning', [`299 - "stale: ${stale}"`, '110 - "Response is Stale"'])
}
