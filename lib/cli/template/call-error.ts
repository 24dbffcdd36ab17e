// How a template's functions say that they cannot work with their arguments.

/** Thrown by functions; the executor adds the place in the template. */
export class CallError extends Error {
  override readonly name = 'CallError'
}

/** What messages call a value. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'nil'
  return Array.isArray(value) ? 'list' : typeof value
}
