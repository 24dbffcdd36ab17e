// The values of WWW-Authenticate: they are read by parsers of the simplest kind, so that every comma is where clients
// have always found it.
import type { Access } from './access-controller.ts'

export function basicChallenge(realm: string): string {
  return `Basic realm=${quote(realm)}`
}

export interface BearerParameters {
  readonly realm: string
  readonly service: string
  /** `repository:foo:pull,push`, several separated by spaces; empty: left out. */
  readonly scope: string
  /** Source: RFC 6750, 3.1. */
  readonly error?: 'invalid_token' | 'insufficient_scope' | undefined
}

/** A comma without a space between parameters. */
export function bearerChallenge({ realm, service, scope, error }: BearerParameters): string {
  const parameters = [`realm=${quote(realm)}`, `service=${quote(service)}`]
  if (scope !== '') parameters.push(`scope=${quote(scope)}`)
  if (error !== undefined) parameters.push(`error=${quote(error)}`)
  return `Bearer ${parameters.join(',')}`
}

/** One entry a repository, its actions together, in the order of the request. */
export function scopeOf(wanted: readonly Access[]): string {
  const actions = new Map<string, Set<string>>()
  for (const { type, name, action } of wanted) {
    const resource = `${type}:${name}`
    actions.set(resource, (actions.get(resource) ?? new Set()).add(action))
  }
  return [...actions].map(([resource, set]) => `${resource}:${[...set].join(',')}`).join(' ')
}

const namedEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

/** A string literal of Go, in ASCII: a header can carry nothing else. */
function quote(text: string): string {
  const escaped = Array.from(text, character => {
    const code = character.codePointAt(0) ?? 0
    if (namedEscapes[character] !== undefined) return namedEscapes[character]
    if (code >= 0x20 && code < 0x7f) return character
    if (code < 0x80) return `\\x${hex(code, 2)}`
    return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`
  })
  return `"${escaped.join('')}"`
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}
