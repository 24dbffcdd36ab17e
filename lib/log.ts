// Logging: one pino logger per instance, written by this process itself, a line per event. What must not be read by
// others is censored here, so that no caller has to remember it: values under telling keys, and secrets inside URLs.
// The lines and their keys are those of distribution (logrus), so that its log pipelines go on working.
import { AsyncLocalStorage } from 'node:async_hooks'
import { pino, type Logger as PinoLogger } from 'pino'
import { callerFields } from './log-caller.ts'
import type { LogHook } from './log-mail.ts'
import { openOutput } from './log-output.ts'
import { RegistryError } from './oci/errors.ts'

export type Logger = PinoLogger

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'
export type LogFormatter = 'text' | 'json' | 'logstash'

export interface LoggerOptions {
  readonly level: LogLevel
  /** `text`: `time="…" level=info msg="…" key=value`; `json` and `logstash`: an object a line. */
  readonly formatter: LogFormatter
  /** Static fields of every line. */
  readonly fields: Readonly<Record<string, string>>
  /** Whether each line tells where in the source it was written: `file` and `func`. */
  readonly reportCaller?: boolean | undefined
  /** Who else gets the lines of some levels. */
  readonly hooks?: readonly LogHook[] | undefined
  /** Takes each finished line, its newline included; stderr where absent. */
  readonly write?: ((line: string) => void) | undefined
}

/** What belongs to the request being served: lines written inside it carry its id as `http.request.id`. */
export const requestContext = new AsyncLocalStorage<{ readonly requestId: string }>()

const censored = '[redacted]'
const secretKeys = new Set([
  ...['authorization', 'proxy-authorization', 'cookie', 'set-cookie'],
  ...['password', 'secret', 'token', 'access_token', 'refresh_token'],
])
const deepestSecret = 5
/** What a child logger is given passes by formatters; serializers see it. */
const censorsForChildren = Object.fromEntries([...secretKeys].map(key => [key, () => censored]))

/** Makes a logger of its own; nothing is shared between two. */
export function createLogger(options: LoggerOptions): Logger {
  const { level, formatter, fields, reportCaller = false, hooks = [] } = options
  const serializeError = (err: unknown) => (err instanceof Error ? errorFields(err, level === 'debug') : err)
  const output = options.write ?? openOutput(2)
  return pino(
    {
      level,
      base: { ...fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: label => ({ level: label === 'warn' ? 'warning' : label }),
        log: fields => withoutSecrets(fields),
      },
      serializers: { ...censorsForChildren, err: serializeError, error: serializeError },
      mixin() {
        const context = requestContext.getStore()
        return {
          ...(context !== undefined && { 'http.request.id': context.requestId }),
          ...(reportCaller && callerFields()),
        }
      },
    },
    {
      write(line) {
        const shown = formatter === 'text' ? formatAsText(line) : line
        output(shown)
        if (hooks.length > 0) tellHooks(hooks, line, shown)
      },
    },
  )
}

/** The messages of an error and of its causes on one line, each once. */
export function describeError(err: unknown): string {
  const messages: string[] = []
  for (const cause of causesOf(err)) {
    const message = cause instanceof Error ? cause.message || cause.name : String(cause)
    if (!messages.some(earlier => earlier.includes(message))) messages.push(message)
  }
  return messages.join(': ')
}

const secretParameters = new Set([
  ...['_state', 'token', 'access_token', 'refresh_token', 'signature', 'sig'],
  ...['account', 'password'],
])
const secretParameterPrefixes = ['x-amz-', 'x-goog-']

/**
 * A URL, absolute or not, fit for a log line or an error message: without user and password, and with the values of
 * query parameters that grant access (upload state, tokens, signatures of storage services) replaced.
 */
export function redactUrl(url: string | URL): string {
  const text = String(url).replace(/^((?:[a-z][a-z0-9+.-]*:)?\/\/)[^/?#\\]*@/i, '$1')
  const [, path = '', query, fragment = ''] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(text) ?? []
  return path + (query === undefined ? '' : query.replace(/([^?&=]+)=([^&]*)/g, redactParameter)) + fragment
}

function redactParameter(parameter: string, name: string): string {
  const plain = decode(name).toLowerCase()
  const isSecret =
    secretParameters.has(plain) || secretParameterPrefixes.some(prefix => plain.startsWith(prefix))
  return isSecret ? `${name}=***` : parameter
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * The fields with secrets censored, in plain objects below them, too; the same object where there are none. pino's own
 * `redact` took ten times as long as all the rest of a line (27 µs of 29).
 */
function withoutSecrets(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const [key, value] of Object.entries(fields)) {
    const shown = secretKeys.has(key.toLowerCase()) ? censored : censorBelow(value, depth)
    if (shown === value) continue
    copy ??= { ...fields }
    copy[key] = shown
  }
  return copy ?? fields
}

function censorBelow(value: unknown, depth: number): unknown {
  const isPlain =
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isPlain && depth < deepestSecret
    ? withoutSecrets(value as Record<string, unknown>, depth + 1)
    : value
}

function tellHooks(hooks: readonly LogHook[], line: string, shown: string): void {
  // pino writes the level first.
  const level = /^\{"level":"(\w+)"/.exec(line)?.[1] ?? ''
  for (const hook of hooks) {
    if (!hook.levels.has(level)) continue
    const { msg } = JSON.parse(line) as { readonly msg?: unknown }
    hook.take(level, typeof msg === 'string' ? msg : '', shown)
  }
}

interface ErrorFields {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly cause?: string
  readonly stack?: string
}

/** Errors of the protocol are everyday life and need no stack; anything else may be a bug of ours. */
function errorFields(err: Error, verbose: boolean): ErrorFields {
  const cause = err.cause === undefined ? undefined : describeError(err.cause)
  return {
    type: err.name,
    message: err.message,
    ...('code' in err && typeof err.code === 'string' ? { code: err.code } : {}),
    ...(cause === undefined ? {} : { cause }),
    ...(verbose || !(err instanceof RegistryError) ? { stack: stacksOf(err) } : {}),
  }
}

function stacksOf(err: Error): string {
  return causesOf(err)
    .map(cause => (cause instanceof Error ? (cause.stack ?? String(cause)) : String(cause)))
    .join('\ncaused by: ')
}

/** An error and its causes, outermost first; a chain that bites its own tail ends there. */
function causesOf(err: unknown): readonly unknown[] {
  const chain: unknown[] = [err]
  for (const at of chain) chain.push(...causesAt(at).filter(cause => !chain.includes(cause)))
  return chain
}

/** An AggregateError (no address of a host answered) has several. */
function causesAt(err: unknown): readonly unknown[] {
  if (!(err instanceof Error)) return []
  const several = err instanceof AggregateError ? (err.errors as readonly unknown[]) : []
  return err.cause === undefined ? several : [err.cause, ...several]
}

/** Turns pino's line into logrus' text form: time, level and message, then the other keys in order. */
function formatAsText(line: string): string {
  const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>
  const pairs = [...flatten(rest)].sort(([a], [b]) => (a < b ? -1 : 1))
  const head = [`time=${quote(time)}`, `level=${quote(level)}`, `msg=${quote(msg ?? '')}`]
  return `${[...head, ...pairs.map(([key, value]) => `${quote(key)}=${quote(value)}`)].join(' ')}\n`
}

function* flatten(fields: object, prefix = ''): Generator<readonly [string, unknown]> {
  for (const [key, value] of Object.entries(fields) as [string, unknown][]) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      yield* flatten(value, `${prefix}${key}.`)
    } else {
      yield [prefix + key, value]
    }
  }
}

function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : JSON.stringify(text)
}
