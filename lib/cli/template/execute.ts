// Writes what a template makes of its data. Objects count as Go's structs: a field that is not there is an error and not
// silence, so that a misspelt name does not go unnoticed.
import { CallError, typeName } from './call-error.ts'
import { formatValue } from './format.ts'
import { builtins, isTrue, type TemplateFunctions } from './functions.ts'
import type { Branch, Command, Node, Operand, Pipeline } from './nodes.ts'
import { parseTemplate } from './parser.ts'
import { TemplateError, type TemplateSource } from './template-error.ts'

/** The functions that evaluate their arguments only until one decides. */
const shortCircuits = new Map([
  ['and', false],
  ['or', true],
])

/** Parses and executes a template of Go's text/template language. Throws TemplateError; then nothing is written. */
export function executeTemplate(source: TemplateSource, data: unknown, functions: TemplateFunctions): string {
  const all = new Map([...builtins, ...functions])
  const nodes = parseTemplate(source, [...all.keys(), ...shortCircuits.keys()])
  return new Execution(source, all, data).run(nodes)
}

interface Variable {
  readonly name: string
  value: unknown
}

class Execution {
  readonly #source: TemplateSource
  readonly #functions: TemplateFunctions
  readonly #variables: Variable[]
  readonly #root: unknown
  readonly #written: string[] = []

  constructor(source: TemplateSource, functions: TemplateFunctions, data: unknown) {
    this.#source = source
    this.#functions = functions
    this.#root = data
    this.#variables = [{ name: '$', value: data }]
  }

  run(nodes: readonly Node[]): string {
    this.#walk(nodes, this.#root)
    return this.#written.join('')
  }

  #walk(nodes: readonly Node[], dot: unknown): void {
    for (const node of nodes) {
      if (node.kind === 'text') this.#written.push(node.text)
      else if (node.kind === 'action') this.#write(node.pipeline, dot)
      else this.#branch(node, dot)
    }
  }

  #write(pipeline: Pipeline, dot: unknown): void {
    const value = this.#evaluate(pipeline, dot)
    if (pipeline.variables.length === 0) this.#written.push(this.#call(pipeline.at, () => formatValue(value)))
  }

  #branch(branch: Branch, dot: unknown): void {
    const outer = this.#variables.length
    const value = this.#evaluate(branch.pipeline, dot)
    if (branch.kind === 'range') this.#range(branch, value, dot)
    else if (!isTrue(value)) this.#walk(branch.otherwise, dot)
    else this.#walk(branch.body, branch.kind === 'with' ? value : dot)
    this.#variables.length = outer
  }

  #range({ pipeline, body, otherwise }: Branch, value: unknown, dot: unknown): void {
    const items: unknown = value ?? []
    if (!Array.isArray(items)) throw this.#failure(pipeline.at, `cannot range over ${typeName(value)}`)
    if (items.length === 0) return this.#walk(otherwise, dot)
    const [first, second] = pipeline.variables
    const inner = this.#variables.length
    for (const [index, item] of (items as readonly unknown[]).entries()) {
      if (first !== undefined) this.#set(first, second === undefined ? item : index)
      if (second !== undefined) this.#set(second, item)
      this.#walk(body, item)
      this.#variables.length = inner
    }
  }

  #evaluate(pipeline: Pipeline, dot: unknown): unknown {
    let value: unknown
    for (const [index, command] of pipeline.commands.entries()) {
      value = this.#run(command, dot, index === 0 ? [] : [value])
    }
    for (const name of pipeline.variables) {
      if (pipeline.assigns) this.#set(name, value)
      else this.#variables.push({ name, value })
    }
    return value
  }

  /** `piped` is what the command before has left, if there is one. */
  #run({ first, args }: Command, dot: unknown, piped: readonly unknown[]): unknown {
    if (first.kind === 'function') return this.#callFunction(first, args, dot, piped)
    if (piped.length > 0) throw this.#failure(first.at, 'only a function takes a value from a pipeline')
    return this.#value(first, dot)
  }

  #callFunction(
    { name, at }: Extract<Operand, { kind: 'function' }>,
    args: readonly Operand[],
    dot: unknown,
    piped: readonly unknown[],
  ): unknown {
    const deciding = shortCircuits.get(name)
    if (deciding !== undefined) return this.#shortCircuit(at, deciding, args, dot, piped)
    const values = [...args.map(arg => this.#value(arg, dot)), ...piped]
    return this.#call(at, () => this.#functions.get(name)?.(...values), name)
  }

  #shortCircuit(
    at: number,
    deciding: boolean,
    args: readonly Operand[],
    dot: unknown,
    piped: readonly unknown[],
  ): unknown {
    if (args.length + piped.length === 0) throw this.#failure(at, 'found no arguments, expected 1 or more')
    let value: unknown
    for (const arg of args) {
      value = this.#value(arg, dot)
      if (isTrue(value) === deciding) return value
    }
    return piped.length > 0 ? piped[0] : value
  }

  #value(operand: Operand, dot: unknown): unknown {
    switch (operand.kind) {
      case 'literal':
        return operand.value
      case 'dot':
        return dot
      case 'variable':
        return this.#variable(operand.name).value
      case 'function':
        return this.#callFunction(operand, [], dot, [])
      case 'pipeline':
        return this.#evaluate(operand.pipeline, dot)
      case 'field':
        return this.#field(operand, this.#value(operand.of, dot))
      default:
        return operand satisfies never
    }
  }

  #field({ name, at }: Extract<Operand, { kind: 'field' }>, value: unknown): unknown {
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, name)) {
      return (value as Readonly<Record<string, unknown>>)[name]
    }
    throw this.#failure(at, `no field "${name}" in ${typeName(value)}`)
  }

  #set(name: string, value: unknown): void {
    this.#variable(name).value = value
  }

  #variable(name: string): Variable {
    const found = this.#variables.findLast(variable => variable.name === name)
    if (found === undefined) throw new TypeError(`Cannot find variable "${name}": the parser let it pass`)
    return found
  }

  #call<T>(at: number, action: () => T, name?: string): T {
    try {
      return action()
    } catch (err) {
      if (!(err instanceof CallError)) throw err
      throw this.#failure(at, name === undefined ? err.message : `${name}: ${err.message}`)
    }
  }

  #failure(at: number, message: string): TemplateError {
    return new TemplateError(this.#source, at, message)
  }
}
