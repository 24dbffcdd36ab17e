// The tree that a template is parsed into. `at` is an offset in the template's text, for messages.

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | Branch

export interface Branch {
  readonly kind: 'if' | 'with' | 'range'
  readonly pipeline: Pipeline
  readonly body: readonly Node[]
  /** What stands after `else`. */
  readonly otherwise: readonly Node[]
}

/** `$x := a | b`: the value of each command is the last argument of the next one. */
export interface Pipeline {
  readonly at: number
  /** Names of the variables that take the value, `$` included: none or one; for `range` up to two. */
  readonly variables: readonly string[]
  /** Whether the variables exist already (`=` instead of `:=`). */
  readonly assigns: boolean
  readonly commands: readonly Command[]
}

/** A value alone, or a function and its arguments. */
export interface Command {
  readonly first: Operand
  readonly args: readonly Operand[]
}

export type Operand = { readonly at: number } & (
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline }
  | { readonly kind: 'field'; readonly of: Operand; readonly name: string }
)
