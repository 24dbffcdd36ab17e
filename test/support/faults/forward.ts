// One request handed to the real registry, and its answer handed back with what is wrong with it.
import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import { pipeline } from 'node:stream/promises'
import { alteredBody, sendBody, type Sending } from './body.ts'

export interface Forwarding extends Omit<Sending, 'socket'> {
  /** Authorization is kept from the real registry. */
  readonly withholdAuthorization: boolean
  /** Called with the status of the answer, before its headers go out. */
  readonly answered: (status: number) => void
}

/** The real registry. Its connections are kept alive, and as many as there are requests. */
export class RealRegistry {
  readonly #base: URL
  readonly #agent: http.Agent

  constructor(base: URL) {
    this.#base = base
    this.#agent = new (base.protocol === 'https:' ? https : http).Agent({ keepAlive: true })
  }

  close(): void {
    this.#agent.destroy()
  }

  /** The status that a HEAD of the request's path is answered. */
  async statusOf(req: IncomingMessage, withholdAuthorization: boolean, signal: AbortSignal): Promise<number> {
    const answer = await this.#answer('HEAD', req, withholdAuthorization, signal)
    answer.resume()
    return statusOf(answer)
  }

  /** Answers `req`. Rejects when either side breaks off; the connections are then the caller's to close. */
  async forward(req: IncomingMessage, res: ServerResponse, forwarding: Forwarding): Promise<void> {
    const { faults, signal, answered, withholdAuthorization } = forwarding
    const answer = await this.#answer(req.method ?? 'GET', req, withholdAuthorization, signal)
    const status = statusOf(answer)
    const isContent = status === 200 || status === 206
    const length = numberOf(answer.headers['content-length'])
    res.statusCode = status
    setHeaders(res, answer.headers)
    if (isContent && length !== undefined) res.setHeader('content-length', length + (faults.lengthenBy ?? 0))
    if (isContent && (faults.chunked || faults.gzip === 'applied')) res.removeHeader('content-length')
    if (isContent && faults.gzip !== undefined) res.setHeader('content-encoding', 'gzip')
    overrideHeaders(res, faults.headers)
    answered(status)
    if (req.method === 'HEAD' || status === 204 || status === 304) {
      answer.resume()
      return void res.end()
    }
    try {
      const start = numberOf(/^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1]) ?? 0
      const body = isContent ? alteredBody(answer, start, length, faults) : answer
      await sendBody(res, body, { ...forwarding, socket: req.socket })
    } finally {
      if (!answer.readableEnded) answer.destroy()
    }
  }

  /** The headers of the real registry's answer. A connection that it closed while it lay idle is none of the faults. */
  async #answer(
    method: string,
    req: IncomingMessage,
    withholdAuthorization: boolean,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const outgoing = this.#ask(method, req, withholdAuthorization)
    if (method !== 'GET' && method !== 'HEAD') {
      // What breaks the request breaks the wait for its answer, too.
      pipeline(req, outgoing).catch(() => outgoing.destroy())
      return await answerTo(outgoing, signal)
    }
    try {
      return await answerTo(outgoing.end(), signal)
    } catch (err) {
      if (!outgoing.reusedSocket || signal.aborted) throw err
      return await answerTo(this.#ask(method, req, withholdAuthorization).end(), signal)
    }
  }

  #ask(method: string, req: IncomingMessage, withholdAuthorization: boolean): http.ClientRequest {
    const { protocol, host, pathname } = this.#base
    const headers: IncomingHttpHeaders = { ...endToEnd(req.headers), host }
    if (withholdAuthorization) delete headers.authorization
    // Links that the real registry makes lead back here.
    headers['x-forwarded-host'] = req.headers.host
    headers['x-forwarded-proto'] = 'http'
    const { request } = protocol === 'https:' ? https : http
    const url = new URL(`${pathname.replace(/\/$/, '')}${req.url}`, this.#base)
    const defined = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
    return request(url, { method, agent: this.#agent, headers: defined })
  }
}

/** Sets headers on an answer; null takes one away. */
export function overrideHeaders(res: ServerResponse, headers: Readonly<Record<string, string | null>>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) res.removeHeader(name)
    else res.setHeader(name, value)
  }
}

async function answerTo(outgoing: http.ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const abort = () => outgoing.destroy()
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  outgoing.on('error', () => {}) // said by once(), or of no interest after the answer
  outgoing.once('close', () => signal.removeEventListener('abort', abort))
  const [answer] = (await once(outgoing, 'response', { signal })) as [IncomingMessage]
  return answer
}

function setHeaders(res: ServerResponse, headers: IncomingHttpHeaders): void {
  for (const [name, value] of Object.entries(endToEnd(headers)))
    if (value !== undefined) res.setHeader(name, value)
}

/** Without what is about one connection alone. */
function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _c, 'keep-alive': _k, 'transfer-encoding': _t, upgrade: _u, te: _te, ...rest } = headers
  const { expect: _e, ...both } = rest
  return both
}

function statusOf(answer: IncomingMessage): number {
  return answer.statusCode ?? 502
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}
