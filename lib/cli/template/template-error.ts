// What is wrong with a template, and where: line and column, so that its author finds the place.

/** A template's text and the name that messages call it by. */
export interface TemplateSource {
  readonly name: string
  readonly text: string
}

/** The template cannot be parsed, or not be executed with its data. Lines and columns count from 1. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError'
  readonly line: number
  readonly column: number

  /** `at` is the offset in the text that the message is about. */
  constructor(source: TemplateSource, at: number, message: string) {
    const before = source.text.slice(0, at)
    const line = before.split('\n').length
    const column = at - before.lastIndexOf('\n')
    super(`${source.name}:${line}:${column}: ${message}`)
    this.line = line
    this.column = column
  }
}
