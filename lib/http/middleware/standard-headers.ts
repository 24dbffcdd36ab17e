// Headers that every answer carries, refusals too: old clients tell a v2 registry by the version header even on 401.
import type { Middleware } from '../context.ts'

export function standardHeaders(configured: Readonly<Record<string, readonly string[]>>): Middleware {
  const headers: readonly (readonly [string, string | string[]])[] = [
    ['Docker-Distribution-Api-Version', 'registry/2.0'],
    ...Object.entries(configured).map(([name, values]) => [name, single(values)] as const),
  ]
  return (ctx, next) => {
    for (const [name, value] of headers) ctx.res.setHeader(name, value)
    return next()
  }
}

function single(values: readonly string[]): string | string[] {
  const [first] = values
  return values.length === 1 && first !== undefined ? first : [...values]
}
