// The Warning of what a mirror gives although it could not ask its upstream.
import type { Staleness } from '../registry/registry.ts'
import type { Context } from './context.ts'

/**
 * Sets Warning where what is answered may be out of date. RFC 7234 has 110 for that, but distribution-spec, "Warnings",
 * wants 299 of every warning.
 */
export function warnIfStale(ctx: Context, { stale }: Staleness): void {
  if (stale !== undefined) ctx.set('Warning', `299 - "stale: ${stale}"`)
}
