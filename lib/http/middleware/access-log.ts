// The access log: one line per request, written when its response closes, in Apache's Combined Log Format or as an
// object. What a client sends never breaks a line or begins another one.
import type { Clock } from '../../clock.ts'
import { redactUrl } from '../../log.ts'
import type { Context, Middleware } from '../context.ts'
import { whenClosed, type Outcome } from '../outcome.ts'

export interface AccessLog {
  readonly format: 'combined' | 'json'
  /** Takes each line, its newline included. */
  readonly write: (line: string) => void
}

export function accessLog({ format, write }: AccessLog, clock: Clock): Middleware {
  const describe = format === 'json' ? asJson : asCombined(clockText())
  return (ctx, next) => {
    whenClosed(ctx, clock, outcome => write(describe(ctx, outcome)))
    return next()
  }
}

function asCombined(timeOf: (ms: number) => string): (ctx: Context, outcome: Outcome) => string {
  return (ctx, { status, sentBytes }) => {
    const { headers, httpVersion } = ctx.req
    const request = `${escaped(ctx.method)} ${escaped(targetOf(ctx))} HTTP/${httpVersion}`
    return (
      `${addressOf(ctx)} - ${userOf(ctx)} [${timeOf(ctx.state.startedAtMs)}] "${request}" ${status} ${sentBytes} ` +
      `"${escaped(redactUrl(headers.referer ?? ''))}" "${escaped(headers['user-agent'] ?? '')}"\n`
    )
  }
}

function asJson(ctx: Context, { status, sentBytes, receivedBytes, durationMs }: Outcome): string {
  const { headers, httpVersion } = ctx.req
  const { grant, id, startedAtMs } = ctx.state
  const line = {
    time: new Date(startedAtMs).toISOString(),
    remote: addressOf(ctx),
    user: grant?.principal,
    method: ctx.method,
    uri: targetOf(ctx),
    protocol: `HTTP/${httpVersion}`,
    host: headers.host,
    status,
    bytes: sentBytes,
    received: receivedBytes,
    ms: durationMs,
    referer: headers.referer === undefined ? undefined : redactUrl(headers.referer),
    useragent: headers['user-agent'],
    id,
  }
  return `${JSON.stringify(line)}\n`
}

function targetOf(ctx: Context): string {
  return redactUrl(ctx.originalUrl)
}

/** A unix socket has no addresses. */
function addressOf({ state }: Context): string {
  return state.clientAddress || '@'
}

/** One field: a name with a space in it would look like two. */
function userOf({ state }: Context): string {
  const { principal } = state.grant ?? {}
  return principal === undefined || principal === '' ? '-' : escaped(principal).replaceAll(' ', '\\x20')
}

/** As Apache does it: what could end the field or the line is written as an escape. */
function escaped(text: string): string {
  // eslint-disable-next-line no-control-regex -- they are what must not get through
  return /["\\\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(text)
    ? // eslint-disable-next-line no-control-regex -- as above
      text.replace(/["\\\x00-\x1f\x7f-\x9f\u2028\u2029]/g, escape)
    : text
}

function escape(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `24/Nov/2026:08:54:36 +0000`, made once a second. */
function clockText(): (ms: number) => string {
  let second = NaN
  let text = ''
  return ms => {
    const now = Math.floor(ms / 1000)
    if (now !== second) {
      second = now
      const [date = '', time = ''] = new Date(now * 1000).toISOString().split('T')
      const [year = '', month = '', day = ''] = date.split('-')
      text = `${day}/${months[Number(month) - 1] ?? ''}/${year}:${time.slice(0, 8)} +0000`
    }
    return text
  }
}
