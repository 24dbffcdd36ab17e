// Mails log lines to operators: one mail a line, one after the other, at most one a second, and what cannot wait any
// more is counted instead. Lines are censored like all others before they come here.
import { hostname } from 'node:os'
import type { Transporter } from 'nodemailer'
import type { Clock } from './clock.ts'

export interface MailHookOptions {
  readonly levels: readonly string[]
  readonly smtp: {
    /** `host:port`. */
    readonly addr: string
    readonly username: string
    readonly password: string
    readonly insecure: boolean
  }
  readonly from: string
  readonly to: readonly string[]
}

export interface MailHookDeps {
  readonly clock: Clock
  /** Told once when mails cannot be sent, and not again before one was. Must not lead back to this hook. */
  readonly onFailure: (err: unknown) => void
}

export interface LogHook {
  readonly levels: ReadonlySet<string>
  /** Takes a line as it is written; must not throw. */
  take(level: string, message: string, line: string): void
  /** Sends what waits, for at most so long. */
  close(graceMs: number): Promise<void>
}

interface Mail {
  readonly subject: string
  readonly text: string
}

const pauseMs = 1000
const maxWaiting = 100
const timeoutMs = 10_000
const implicitTlsPort = 465

export function createMailHook(options: MailHookOptions, { clock, onFailure }: MailHookDeps): LogHook {
  const { from, to, levels } = options
  const host = hostname()
  const waiting: Mail[] = []
  const closing = new AbortController()
  let isFailing = false
  let dropped = 0
  let sending: Promise<void> | undefined
  let transport: Transporter | undefined

  async function sendAll(): Promise<void> {
    for (let mail = waiting.shift(); mail !== undefined; mail = waiting.shift()) {
      await send(mail)
      // On the way out there is no time for pauses.
      await clock.sleep(pauseMs, { signal: closing.signal }).catch(() => {})
    }
    sending = undefined
  }

  async function send({ subject, text }: Mail): Promise<void> {
    const lost = dropped
    const note = lost === 0 ? '' : `\n${lost} more lines came too fast to be mailed.\n`
    try {
      transport ??= await openTransport(options.smtp)
      await transport.sendMail({ from, to: [...to], subject, text: text + note })
      dropped -= lost
      isFailing = false
    } catch (err) {
      if (!isFailing) onFailure(err)
      isFailing = true
    }
  }

  return {
    levels: new Set(levels.map(level => (level === 'warn' ? 'warning' : level))),
    take(level, message, line) {
      if (closing.signal.aborted || waiting.length >= maxWaiting) return void dropped++
      waiting.push({ subject: subjectOf(level, host, message), text: line })
      sending ??= sendAll()
    },
    async close(graceMs) {
      closing.abort(new Error('Cannot mail: shutting down'))
      const over = new AbortController()
      const tooLong = clock.sleep(graceMs, { signal: over.signal }).catch(() => {})
      await Promise.race([sending, tooLong])
      over.abort()
      waiting.length = 0
      transport?.close()
    },
  }
}

/** One line of a header: what a log line quotes may come from anywhere. */
function subjectOf(level: string, host: string, message: string): string {
  const oneLine = message.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 200)
  return `[${level}] ${host}: ${oneLine}`
}

/** A library that most instances never need. */
async function openTransport({
  addr,
  username,
  password,
  insecure,
}: MailHookOptions['smtp']): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  const [, bracketed, plain, port = '25'] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(addr) ?? []
  return createTransport({
    host: bracketed ?? plain ?? addr,
    port: Number(port),
    secure: Number(port) === implicitTlsPort,
    ...(username !== '' && { auth: { user: username, pass: password }, authMethod: 'PLAIN' }),
    tls: { rejectUnauthorized: !insecure },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
}
