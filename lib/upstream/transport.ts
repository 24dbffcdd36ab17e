// HTTP towards one upstream: connections, timeouts, one retry where a connection was stale, and redirects, which are
// followed here by hand because the Authorization header must not travel to another origin (Docker Hub sends blobs
// from a CDN that answers 400 to a second kind of authentication, and must not see the first in any case).
// There is no deadline for a body: a 40 GB layer takes what it takes, as long as bytes keep coming.
import { Agent, type Dispatcher } from 'undici'
import type { CallOptions } from '../oci/descriptor.ts'
import { discard, type HttpAnswer } from './answer.ts'
import { UpstreamError } from './errors.ts'

export interface Timeouts {
  /** Name lookup, TCP and TLS. Default 5 s. */
  readonly connectMs?: number | undefined
  /** From the request to the last header. Default 20 s. */
  readonly headersMs?: number | undefined
  /** Between two pieces of a body that we are ready to read. Default 60 s. */
  readonly idleBodyMs?: number | undefined
}

export interface TransportOptions {
  readonly upstream: string
  readonly userAgent: string
  readonly timeouts?: Timeouts | undefined
  /** Per origin; further requests wait. Default 128. */
  readonly maxConnections?: number | undefined
  /** Called for each answer, redirects included, with its status, and with 'error' where there was none. */
  readonly onAnswer: (operation: string, code: string) => void
}

export interface HttpRequest {
  /** For metrics. */
  readonly operation: string
  readonly method: 'GET' | 'HEAD'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Sent to the origin of `url` and to no other. */
  readonly authorization?: string | undefined
}

const maxRedirects = 5
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** What piles up in memory per body while its reader is busy. */
const bodyHighWaterMarkBytes = 256 * 1024
/** Failures after which a second connection may do better at once. Timeouts and unknown hosts are not among them. */
const retriedCodes: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

export class Transport {
  readonly #options: TransportOptions
  readonly #agent: Agent

  constructor(options: TransportOptions) {
    const { connectMs = 5_000, headersMs = 20_000, idleBodyMs = 60_000 } = options.timeouts ?? {}
    this.#options = options
    this.#agent = new Agent({
      connections: options.maxConnections ?? 128,
      connect: { timeout: connectMs },
      headersTimeout: headersMs,
      bodyTimeout: idleBodyMs,
    })
  }

  /**
   * Asks and follows redirects; resolves when headers of the final answer are in, whatever its status. Throws
   * UpstreamError `unavailable` if there is none, `invalid` for a redirect that cannot be followed; or `signal.reason`.
   */
  async send(request: HttpRequest, options: CallOptions = {}): Promise<HttpAnswer> {
    const asked = request.url.origin
    let url = request.url
    for (let redirects = 0; ; redirects++) {
      const data = await this.#sendOnce(request, url, options)
      const answer = toAnswer(data, url.origin, asked)
      if (!redirectStatuses.has(answer.status)) return answer
      await discard(answer)
      const next =
        redirects < maxRedirects ? redirectTarget(url, answer.header('location')) : 'too many redirects'
      if (typeof next === 'string') {
        const message = `Cannot follow redirect of "${this.#options.upstream}": ${next}`
        throw new UpstreamError('invalid', this.#options.upstream, message, { status: answer.status })
      }
      url = next
    }
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #sendOnce(request: HttpRequest, url: URL, options: CallOptions): Promise<Dispatcher.ResponseData> {
    const { upstream, onAnswer } = this.#options
    for (let retried = false; ; retried = true) {
      options.signal?.throwIfAborted()
      try {
        const data = await this.#dispatch(request, url, options)
        onAnswer(request.operation, String(data.statusCode))
        return data
      } catch (cause) {
        if (options.signal?.aborted) throw options.signal.reason
        onAnswer(request.operation, 'error')
        const code = codeOf(cause)
        if (!retried && retriedCodes.has(code)) continue
        const message = `Cannot reach "${upstream}": ${code === '' ? String(cause) : code}`
        throw new UpstreamError('unavailable', upstream, message, { cause })
      }
    }
  }

  async #dispatch(request: HttpRequest, url: URL, { signal }: CallOptions): Promise<Dispatcher.ResponseData> {
    const mayAuthorize = request.authorization !== undefined && url.origin === request.url.origin
    return await this.#agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method,
      // Otherwise a HEAD would cost a connection.
      reset: false,
      headers: {
        'user-agent': this.#options.userAgent,
        'accept-encoding': 'identity',
        ...request.headers,
        ...(mayAuthorize ? { authorization: request.authorization } : {}),
      },
      highWaterMark: bodyHighWaterMarkBytes,
      ...(signal === undefined ? {} : { signal }),
    })
  }
}

/** Where a redirect leads, or a text that says why it is not followed. Never gives up https once it was there. */
export function redirectTarget(from: URL, location: string | undefined): URL | string {
  if (location === undefined) return 'no Location'
  const to = URL.canParse(location, from.href) ? new URL(location, from) : null
  if (to === null) return 'Location is not a URL'
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return `scheme "${to.protocol}"`
  if (from.protocol === 'https:' && to.protocol !== 'https:') return 'from https to http'
  return to
}

function toAnswer(data: Dispatcher.ResponseData, origin: string, asked: string): HttpAnswer {
  // Without a listener, an error of a body that nobody reads yet would end the process; readers still see it.
  data.body.on('error', () => {})
  const headerLines = (name: string): readonly string[] => {
    const value = data.headers[name]
    return typeof value === 'string' ? [value] : (value ?? [])
  }
  return {
    status: data.statusCode,
    body: data.body,
    origin,
    redirected: origin !== asked,
    header: name => headerLines(name)[0],
    headerLines,
  }
}

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err && typeof err.code === 'string' ? err.code : ''
}
