// Cuts a template into text and the tokens of its actions. Trimming (`{{- `, ` -}}`) and comments are dealt with here:
// the parser sees neither.
// Source: the documentation of Go's package text/template.
import { TemplateError, type TemplateSource } from './template-error.ts'

export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'field'
  | 'variable'
  | 'identifier'
  | 'number'
  | 'string'
  | 'symbol'
  /** Behind the last one; the parser's. */
  | 'eof'

export interface Token {
  readonly kind: TokenKind
  /** As written; for `text` what is left after trimming. */
  readonly text: string
  readonly at: number
  /** Whether white space stands before it: `.A.B` is a field of a field, `.A .B` two values. */
  readonly spaced: boolean
}

const space = /[ \t\r\n]+/y
const closing = /}}|[ \t\r\n]+-}}/y
const tokens: readonly (readonly [TokenKind, RegExp])[] = [
  ['field', /\.[\p{L}_][\p{L}\d_]*/uy],
  ['variable', /\$[\p{L}\d_]*/uy],
  ['number', /[+-]?\d+(?:\.\d+)?(?![\p{L}\d_.])/uy],
  ['identifier', /[\p{L}_][\p{L}\d_]*/uy],
  ['string', /"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`/y],
  ['symbol', /:=|[=|().,]/y],
]

/** All tokens of a template. Throws TemplateError. */
export function lex(source: TemplateSource): readonly Token[] {
  const { text } = source
  const found: Token[] = []
  let position = 0
  let trimsNext = false
  for (;;) {
    const open = text.indexOf('{{', position)
    const isTrimmed = open !== -1 && /^-[ \t\r\n]/.test(text.slice(open + 2, open + 4))
    let piece = text.slice(position, open === -1 ? text.length : open)
    if (trimsNext) piece = piece.replace(/^[ \t\r\n]+/, '')
    if (isTrimmed) piece = withoutFinalSpace(piece)
    if (piece !== '') found.push({ kind: 'text', text: piece, at: position, spaced: false })
    if (open === -1) return found
    const start = open + (isTrimmed ? 3 : 2)
    const action = lexComment(source, open, start, isTrimmed) ?? lexAction(source, open, start)
    found.push(...action.tokens)
    position = action.end
    trimsNext = action.trimsNext
  }
}

interface Action {
  readonly tokens: readonly Token[]
  readonly end: number
  readonly trimsNext: boolean
}

/** A comment is all of its action; undefined where there is none. */
function lexComment(
  source: TemplateSource,
  open: number,
  start: number,
  isTrimmed: boolean,
): Action | undefined {
  const { text } = source
  const begin = isTrimmed ? start + (match(space, text, start)?.length ?? 0) : start
  if (!text.startsWith('/*', begin)) return undefined
  const last = text.indexOf('*/', begin + 2)
  if (last === -1) throw new TemplateError(source, open, 'unclosed comment')
  const close = match(closing, text, last + 2)
  if (close === undefined) throw new TemplateError(source, last + 2, 'expected "}}" right after the comment')
  return { tokens: [], end: last + 2 + close.length, trimsNext: close !== '}}' }
}

function lexAction(source: TemplateSource, open: number, start: number): Action {
  const { text } = source
  const found: Token[] = [{ kind: 'open', text: '{{', at: open, spaced: false }]
  let position = start
  for (;;) {
    const close = match(closing, text, position)
    if (close !== undefined) {
      found.push({ kind: 'close', text: '}}', at: position + close.length - 2, spaced: false })
      return { tokens: found, end: position + close.length, trimsNext: close !== '}}' }
    }
    const gap = match(space, text, position)?.length ?? 0
    position += gap
    if (gap > 0 && text.startsWith('}}', position)) continue
    if (position >= text.length) throw new TemplateError(source, open, 'unclosed action')
    const token = lexToken(source, position, gap > 0)
    found.push(token)
    position += token.text.length
  }
}

function lexToken(source: TemplateSource, at: number, spaced: boolean): Token {
  const { text } = source
  for (const [kind, pattern] of tokens) {
    const found = match(pattern, text, at)
    if (found !== undefined) return { kind, text: found, at, spaced }
  }
  const rest = text.slice(at)
  if (/^["`]/.test(rest)) throw new TemplateError(source, at, 'unterminated string')
  const number = /^[+-]?\d[\p{L}\d_.]*/u.exec(rest)
  if (number !== null) throw new TemplateError(source, at, `bad number "${number[0]}"`)
  throw new TemplateError(
    source,
    at,
    `unexpected character "${String.fromCodePoint(rest.codePointAt(0) ?? 0)}"`,
  )
}

/** What a sticky pattern finds at `position`; undefined for nothing. */
function match(pattern: RegExp, text: string, position: number): string | undefined {
  pattern.lastIndex = position
  return pattern.exec(text)?.[0]
}

/** Not a pattern: looking for space before an end takes quadratic time. */
function withoutFinalSpace(text: string): string {
  let end = text.length
  while (end > 0 && ' \t\r\n'.includes(text.charAt(end - 1))) end--
  return text.slice(0, end)
}
