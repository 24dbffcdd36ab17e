// The value of a string literal: of "…" with Go's escapes, of `…` as it stands.
// Source: the Go specification, "String literals".
import type { Token } from './lexer.ts'
import { TemplateError, type TemplateSource } from './template-error.ts'

const escapes = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
])
const escape = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([^]))/g

/** Throws TemplateError for an escape that Go does not have. */
export function unquote(source: TemplateSource, { text, at }: Token): string {
  const inner = text.slice(1, -1)
  if (text.startsWith('`')) return inner
  return inner.replace(escape, (written: string, ...groups: readonly (string | undefined)[]) => {
    const value = meaning(groups)
    if (value !== undefined) return value
    throw new TemplateError(source, at, `unknown escape "${written}"`)
  })
}

function meaning([byte, short, long, letter]: readonly (string | undefined)[]): string | undefined {
  const digits = byte ?? short ?? long
  if (digits === undefined) return letter === undefined ? undefined : escapes.get(letter)
  const code = Number.parseInt(digits, 16)
  return code > 0x10ffff ? undefined : String.fromCodePoint(code)
}
