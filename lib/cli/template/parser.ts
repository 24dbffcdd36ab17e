// Makes a tree of a template's tokens. As in Go, variables and functions that do not exist are found here, before
// anything is written. Left out of Go's language: `define`, `template`, `block`, `break`, `continue`, characters,
// imaginary numbers.
import type { Token } from './lexer.ts'
import type { Branch, Command, Node, Operand, Pipeline } from './nodes.ts'
import type { TemplateSource } from './template-error.ts'
import { TokenCursor } from './token-cursor.ts'
import { unquote } from './unquote.ts'

/** Parses a template that may call functions of these names. Throws TemplateError. */
export function parseTemplate(source: TemplateSource, functions: Iterable<string>): readonly Node[] {
  return new Parser(source, new Set(functions)).parse()
}

const branches: readonly string[] = ['if', 'with', 'range'] satisfies readonly Branch['kind'][]
const constants = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['nil', null],
])
const unsupported = new Set(['define', 'template', 'block', 'break', 'continue'])

class Parser {
  readonly #source: TemplateSource
  readonly #functions: ReadonlySet<string>
  readonly #cursor: TokenCursor
  /** Variables in scope; what a branch declares is cut off at its end. */
  #variables: string[] = ['$']

  constructor(source: TemplateSource, functions: ReadonlySet<string>) {
    this.#source = source
    this.#functions = functions
    this.#cursor = new TokenCursor(source)
  }

  parse(): readonly Node[] {
    const { nodes, end } = this.#parseList()
    if (end.kind !== 'eof') throw this.#cursor.failure(end, `unexpected {{${end.text}}}`)
    return nodes
  }

  /** Nodes up to `{{end}}`, `{{else` or the end of the text, which is returned; only its keyword is consumed. */
  #parseList(): { readonly nodes: readonly Node[]; readonly end: Token } {
    const nodes: Node[] = []
    for (;;) {
      const token = this.#cursor.next()
      if (token.kind === 'eof') return { nodes, end: token }
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text })
        continue
      }
      const first = this.#cursor.peek()
      if (first.kind === 'identifier' && (first.text === 'end' || first.text === 'else')) {
        return { nodes, end: this.#cursor.next() }
      }
      nodes.push(this.#parseAction(first))
    }
  }

  #parseAction(first: Token): Node {
    const { kind, text } = first
    if (kind === 'identifier' && unsupported.has(text))
      throw this.#cursor.failure(first, `{{${text}}} is not supported`)
    if (kind !== 'identifier' || !isBranch(text)) {
      return { kind: 'action', pipeline: this.#parsePipeline('close', 1) }
    }
    this.#cursor.next()
    return this.#parseBranch(text, first)
  }

  #parseBranch(kind: Branch['kind'], keyword: Token): Branch {
    const outer = this.#variables.length
    const pipeline = this.#parsePipeline('close', kind === 'range' ? 2 : 1)
    const { nodes: body, end } = this.#parseList()
    const otherwise = end.text === 'else' ? this.#parseElse(keyword) : []
    if (end.kind === 'eof') throw this.#cursor.failure(keyword, `{{${kind}}} without {{end}}`)
    if (end.text === 'end') this.#cursor.expectClose()
    this.#variables = this.#variables.slice(0, outer)
    return { kind, pipeline, body, otherwise }
  }

  /** What follows `else`, the `{{end}}` included: of an `else if`, that is also the end of its own. */
  #parseElse(keyword: Token): readonly Node[] {
    const first = this.#cursor.peek()
    if (first.kind === 'identifier' && (first.text === 'if' || first.text === 'with')) {
      this.#cursor.next()
      return [this.#parseBranch(first.text, first)]
    }
    this.#cursor.expectClose()
    const { nodes, end } = this.#parseList()
    if (end.kind === 'eof') throw this.#cursor.failure(keyword, `{{${keyword.text}}} without {{end}}`)
    if (end.text === 'else') throw this.#cursor.failure(end, 'found a second {{else}}, expected {{end}}')
    this.#cursor.expectClose()
    return nodes
  }

  #parsePipeline(until: 'close' | ')', maxVariables: number): Pipeline {
    const { at } = this.#cursor.peek()
    const { variables, assigns } = this.#parseVariables(maxVariables)
    const commands: Command[] = []
    for (;;) {
      const isFirst = commands.length === 0
      const command = this.#parseCommand()
      if (!isFirst && command.first.kind === 'literal') {
        throw this.#cursor.failure(command.first, 'a literal takes no value from a pipeline')
      }
      commands.push(command)
      const token = this.#cursor.next()
      if (token.kind === until || (token.kind === 'symbol' && token.text === until)) break
      if (token.text !== '|') throw this.#cursor.unexpected(token)
    }
    // Not in scope before: `{{$x := $x}}` is an error.
    if (!assigns) this.#variables.push(...variables)
    return { at, variables, assigns, commands }
  }

  #parseVariables(max: number): { readonly variables: readonly string[]; readonly assigns: boolean } {
    const start = this.#cursor.position
    const variables: Token[] = []
    while (this.#cursor.peek().kind === 'variable') {
      variables.push(this.#cursor.next())
      const { text } = this.#cursor.peek()
      if (text !== ':=' && text !== '=' && text !== ',') break
      const mark = this.#cursor.next()
      if (mark.text === ',') continue
      const [extra] = variables.slice(max)
      if (extra !== undefined)
        throw this.#cursor.failure(extra, `found ${variables.length} variables, expected ${max}`)
      if (mark.text === '=') for (const variable of variables) this.#checkVariable(variable)
      return { variables: variables.map(({ text }) => text), assigns: mark.text === '=' }
    }
    const [, second] = variables
    if (second !== undefined) throw this.#cursor.unexpected(this.#cursor.peek())
    this.#cursor.position = start
    return { variables: [], assigns: false }
  }

  #parseCommand(): Command {
    const first = this.#parseOperand()
    const args: Operand[] = []
    while (this.#startsOperand(this.#cursor.peek())) {
      const token = this.#cursor.peek()
      if (!token.spaced) throw this.#cursor.unexpected(token)
      args.push(this.#parseOperand())
    }
    if (args.length > 0 && first.kind !== 'function') {
      throw this.#cursor.failure(first, 'arguments need a function')
    }
    return { first, args }
  }

  #startsOperand({ kind, text }: Token): boolean {
    if (kind === 'symbol') return text === '(' || text === '.'
    return kind !== 'close' && kind !== 'eof' && kind !== 'text'
  }

  #parseOperand(): Operand {
    let operand = this.#parseTerm()
    while (this.#cursor.peek().kind === 'field' && !this.#cursor.peek().spaced) {
      const { at, text } = this.#cursor.next()
      if (operand.kind === 'literal' || operand.kind === 'function' || operand.kind === 'dot') {
        throw this.#cursor.failure({ at }, `unexpected "${text}": what stands before it has no fields`)
      }
      operand = { kind: 'field', of: operand, name: text.slice(1), at }
    }
    return operand
  }

  #parseTerm(): Operand {
    const token = this.#cursor.next()
    const { kind, text, at } = token
    if (kind === 'field') return { kind, of: { kind: 'dot', at }, name: text.slice(1), at }
    if (kind === 'number') return { kind: 'literal', value: Number(text), at }
    if (kind === 'string') return { kind: 'literal', value: unquote(this.#source, token), at }
    if (kind === 'variable') {
      this.#checkVariable(token)
      return { kind, name: text, at }
    }
    if (kind === 'symbol' && text === '.') return { kind: 'dot', at }
    if (kind === 'symbol' && text === '(')
      return { kind: 'pipeline', pipeline: this.#parsePipeline(')', 1), at }
    if (kind !== 'identifier') throw this.#cursor.unexpected(token)
    const value = constants.get(text)
    if (value !== undefined) return { kind: 'literal', value, at }
    if (!this.#functions.has(text)) throw this.#cursor.failure(token, `function "${text}" not defined`)
    return { kind: 'function', name: text, at }
  }

  #checkVariable(token: Token): void {
    if (!this.#variables.includes(token.text))
      throw this.#cursor.failure(token, `undefined variable "${token.text}"`)
  }
}

function isBranch(text: string): text is Branch['kind'] {
  return branches.includes(text)
}
