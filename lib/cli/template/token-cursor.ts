// Where the parser stands among a template's tokens, and what it says when it cannot go on.
import { lex, type Token } from './lexer.ts'
import { TemplateError, type TemplateSource } from './template-error.ts'

/** Reads tokens one after the other; behind the last one, `eof` again and again. */
export class TokenCursor {
  readonly #source: TemplateSource
  readonly #tokens: readonly Token[]
  readonly #eof: Token
  /** Index of the next token; may be set back. */
  position = 0

  constructor(source: TemplateSource) {
    this.#source = source
    this.#tokens = lex(source)
    this.#eof = { kind: 'eof', text: '', at: source.text.length, spaced: false }
  }

  peek(): Token {
    return this.#tokens[this.position] ?? this.#eof
  }

  next(): Token {
    const token = this.peek()
    this.position++
    return token
  }

  expectClose(): void {
    const token = this.next()
    if (token.kind !== 'close') throw this.failure(token, `found "${token.text}", expected "}}"`)
  }

  unexpected(token: Token): TemplateError {
    if (token.kind === 'close') return this.failure(token, 'found the end of the action, expected a value')
    return this.failure(token, `unexpected "${token.text}"`)
  }

  failure({ at }: { readonly at: number }, message: string): TemplateError {
    return new TemplateError(this.#source, at, message)
  }
}
