// What a registry may answer, read strictly: anything else fails the test that got it.
import type { Dispatcher } from 'undici'
import type { Outcome } from './repository-model.ts'

export interface Answer {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  readonly bytes: Buffer
}

/** Path and query of an answer's Location. */
export function locationOf(answer: Answer, status: number): string {
  expectStatus(answer, status)
  const { pathname, search } = new URL(String(answer.headers['location']), 'http://any')
  return pathname + search
}

export function expectStatus(answer: Answer, status: number): void {
  if (answer.status !== status)
    throw new Error(`expected ${status}, found ${answer.status}: ${answer.bytes.toString()}`)
}

/** The codes of an error answer. */
export function codesOf(answer: Answer): readonly string[] {
  return errorsOf(answer).map(({ code }) => code)
}

export function outcomeOf(answer: Answer, success: number): Outcome {
  if (answer.status === success) return { answer: 'done' }
  const errors = errorsOf(answer)
  const [code] = errors.map(one => one.code)
  if (answer.status >= 400 && answer.status < 500) {
    if (code === 'BLOB_UNKNOWN' || code === 'MANIFEST_UNKNOWN') return { answer: code }
    // A repository that was never pushed to is itself unknown.
    if (code === 'NAME_UNKNOWN') return { answer: 'MANIFEST_UNKNOWN' }
    if (code === 'MANIFEST_BLOB_UNKNOWN')
      return { answer: code, missing: errors.map(({ detail }) => digestIn(detail)).toSorted() }
  }
  throw new Error(`unexpected answer ${answer.status}: ${answer.bytes.toString()}`)
}

function errorsOf(answer: Answer) {
  return (
    parse(answer) as { readonly errors: readonly { readonly code: string; readonly detail?: unknown }[] }
  ).errors
}

function digestIn(detail: unknown): string {
  return /sha256:[0-9a-f]{64}/.exec(JSON.stringify(detail ?? ''))?.[0] ?? 'no digest'
}

export function expectHeader(answer: Answer, name: string, value: string | undefined): void {
  const found = answer.headers[name]
  if (found !== value) throw new Error(`expected ${name} to be "${String(value)}", found "${String(found)}"`)
}

export function parse(answer: Answer): unknown {
  return JSON.parse(answer.bytes.toString())
}
