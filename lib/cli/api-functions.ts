// The functions that templates of the API may call beside Go's own: distribution's three.
import { STATUS_CODES } from 'node:http'
import { CallError, typeName } from './template/call-error.ts'
import type { TemplateFunction, TemplateFunctions } from './template/functions.ts'

export const apiFunctions: TemplateFunctions = new Map<string, TemplateFunction>([
  ['removenewlines', text => stringOf(text).replace(/\n\s*/g, ' ')],
  [
    'statustext',
    status => (typeof status === 'number' ? (STATUS_CODES[status] ?? '') : unfit(status, 'number')),
  ],
  ['prettygorilla', route => withoutPatterns(stringOf(route))],
])

/** `/v2/{name:<regexp>}/tags/list` as `/v2/<name>/tags/list`. A regular expression may have braces of its own. */
function withoutPatterns(route: string): string {
  let shown = ''
  let depth = 0
  let isName = false
  for (const char of route) {
    if (char === '}' && --depth === 0) shown += '>'
    else if (char === '{' && ++depth === 1) {
      shown += '<'
      isName = true
    } else if (char === ':' && depth === 1) isName = false
    else if (depth === 0 || isName) shown += char
  }
  return shown
}

function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : unfit(value, 'string')
}

function unfit(value: unknown, expected: string): never {
  throw new CallError(`found ${typeName(value)}, expected ${expected}`)
}
