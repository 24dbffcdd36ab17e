// HTTP towards one upstream: places in its queue, retries, and redirects, which are followed here by hand because the
// Authorization header must not travel to another origin (Docker Hub sends blobs from a CDN that answers 400 to a
// second kind of authentication, and must not see the first in any case), and because each hop may lead only where
// address-guard.ts allows. There is no deadline for a body: a 40 GB layer takes what it takes, as long as bytes come.
//
// A request holds a place from before it is sent until the body of its answer is closed, over all its redirects, but
// not while it pauses before another try.
import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { upstreamRequests, type UpstreamFacts } from '../tracing/channels.ts'
import { AddressRefusedError, type AddressGuard } from './address-guard.ts'
import { discard, parseRetryAfter, type HttpAnswer } from './answer.ts'
import { createDispatchers, type DispatcherOptions, type Dispatchers } from './dispatchers.ts'
import { UpstreamError } from './errors.ts'
import type { Release, RequestKind, RequestQueue } from './request-queue.ts'
import { Retries } from './retries.ts'

export interface TransportOptions extends DispatcherOptions {
  readonly upstream: string
  readonly userAgent: string
  readonly queue: RequestQueue
  /** How many more tries after the first. Default 2. */
  readonly retries?: number | undefined
  readonly clock: Clock
  /** Called for each answer, redirects included, with its status, and with 'error' where there was none. */
  readonly onAnswer: (operation: string, code: string) => void
  /** Called for each answer of the origin that was asked, and not of those that it redirects to. */
  readonly onHeaders?: ((operation: string, header: HttpAnswer['header']) => void) | undefined
  readonly onRetry?: (() => void) | undefined
}

export interface HttpRequest {
  /** For metrics. */
  readonly operation: string
  readonly method: 'GET' | 'HEAD'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Sent to the origin of `url` and to no other. */
  readonly authorization?: string | undefined
  /** Default `brief`. */
  readonly kind?: RequestKind | undefined
  /** Who takes turns with others in the queue: a repository. By default all who ask for the same operation are one. */
  readonly party?: string | undefined
  /** For several requests that are one question to whoever waits. By default a request has its own. */
  readonly retries?: Retries | undefined
}

const maxRedirects = 5
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** What piles up in memory per body while its reader is busy. */
const bodyHighWaterMarkBytes = 256 * 1024

export class Transport {
  readonly #options: TransportOptions
  readonly #guard: AddressGuard
  readonly #dispatchers: Dispatchers

  /** Throws TypeError for certificates that cannot be read. */
  constructor(options: TransportOptions) {
    this.#options = options
    this.#guard = options.guard
    this.#dispatchers = createDispatchers(options)
  }

  /** What HttpRequest.retries takes. */
  startRetries(): Retries {
    return new Retries({ retries: this.#options.retries })
  }

  /**
   * Asks and follows redirects; resolves when headers of the final answer are in, whatever its status. Throws
   * UpstreamError `unavailable` if there is none, or too many wait, and `invalid` for a redirect that cannot be
   * followed or an address that is not allowed; or `signal.reason`.
   */
  async send(request: HttpRequest, options: CallOptions = {}): Promise<HttpAnswer> {
    const retries = request.retries ?? this.startRetries()
    for (;;) {
      const tried = await this.#try(request, retries, options)
      if (typeof tried !== 'number') return tried
      this.#options.onRetry?.()
      await this.#options.clock.sleep(tried, options)
    }
  }

  /**
   * Whose connections lead to a URL, for requests that cannot be sent by send(). Throws UpstreamError `invalid` for an
   * address that is not allowed; connecting to a name may still fail with AddressRefusedError.
   */
  dispatcherFor(url: URL): Dispatcher {
    this.#check(url)
    return this.#dispatchers.for(url.hostname)
  }

  /** Whether the configuration names the host. */
  isTrusted(hostname: string): boolean {
    return this.#guard.isTrusted(hostname)
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    await this.#dispatchers.destroy()
  }

  /** An answer, whose body holds its place, or how many milliseconds to pause before the next try. */
  async #try(request: HttpRequest, retries: Retries, options: CallOptions): Promise<HttpAnswer | number> {
    const { queue, clock } = this.#options
    const { kind = 'brief', operation, party = operation } = request
    const release = await queue.enter(kind, party, options)
    let isHandedOver = false
    try {
      const answer = await this.#follow(request, retries, options)
      const retryAfterMs = parseRetryAfter(answer.header('retry-after'), clock.now())
      const pauseMs = retries.afterStatus(answer.status, retryAfterMs)
      if (pauseMs === undefined) {
        isHandedOver = true
        releaseWhenClosed(answer, release)
        return answer
      }
      await discard(answer)
      return pauseMs
    } catch (err) {
      const isUnreachable = err instanceof UpstreamError && err.failure === 'unavailable'
      const pauseMs = isUnreachable ? retries.afterError(codeOf(err.cause)) : undefined
      if (pauseMs === undefined) throw err
      return pauseMs
    } finally {
      if (!isHandedOver) release()
    }
  }

  async #follow(request: HttpRequest, retries: Retries, options: CallOptions): Promise<HttpAnswer> {
    let url = request.url
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#exchange(request, url, retries, options)
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

  async #exchange(
    request: HttpRequest,
    url: URL,
    retries: Retries,
    options: CallOptions,
  ): Promise<HttpAnswer> {
    const { upstream, onAnswer, onHeaders } = this.#options
    const { operation } = request
    for (;;) {
      options.signal?.throwIfAborted()
      try {
        this.#check(url)
        const data = await this.#dispatch(request, url, options)
        const answer = toAnswer(data, url.origin, request.url.origin)
        onAnswer(operation, String(answer.status))
        if (!answer.redirected) onHeaders?.(operation, answer.header)
        return answer
      } catch (cause) {
        if (options.signal?.aborted) throw options.signal.reason
        if (cause instanceof UpstreamError) throw cause
        if (cause instanceof AddressRefusedError) throw refusedAddress(upstream, cause)
        onAnswer(operation, 'error')
        if (retries.reconnects(codeOf(cause))) continue
        const message = `Cannot reach "${upstream}": ${reasonOf(cause)}`
        throw new UpstreamError('unavailable', upstream, message, { cause })
      }
    }
  }

  #check(url: URL): void {
    try {
      this.#guard.check(url)
    } catch (err) {
      throw err instanceof AddressRefusedError ? refusedAddress(this.#options.upstream, err) : err
    }
  }

  async #dispatch(request: HttpRequest, url: URL, options: CallOptions): Promise<Dispatcher.ResponseData> {
    if (!upstreamRequests.hasSubscribers) return await this.#ask(request, url, options)
    const { operation, method } = request
    const facts: UpstreamFacts = {
      upstream: this.#options.upstream,
      operation,
      method,
      host: url.host,
      headers: {},
    }
    return await upstreamRequests.tracePromise(async () => {
      const isOwnOrigin = url.origin === request.url.origin
      const data = await this.#ask(request, url, options, isOwnOrigin ? facts.headers : {})
      facts.status = data.statusCode
      return data
    }, facts)
  }

  async #ask(
    request: HttpRequest,
    url: URL,
    { signal }: CallOptions,
    traceHeaders: Readonly<Record<string, string>> = {},
  ): Promise<Dispatcher.ResponseData> {
    const mayAuthorize = request.authorization !== undefined && url.origin === request.url.origin
    return await this.#dispatchers.for(url.hostname).request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method,
      // Otherwise a HEAD would cost a connection.
      reset: false,
      headers: {
        'user-agent': this.#options.userAgent,
        ...request.headers,
        ...traceHeaders,
        'accept-encoding': 'identity',
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

/** Every body is read to its end or destroyed (HttpAnswer), and closes after either. */
function releaseWhenClosed({ body }: HttpAnswer, release: Release): void {
  if (body.closed) release()
  else body.once('close', release)
}

/** Says what to do about it: the one who may want this is the one who reads the log. */
function refusedAddress(upstream: string, cause: AddressRefusedError): UpstreamError {
  const message = `Cannot connect to "${cause.host}" for "${upstream}": not a public address; trustedhosts would allow it`
  return new UpstreamError('invalid', upstream, message, { cause })
}

/** The codes under which undici tells, by the message alone, that a proxy has refused. */
const proxyCodes: ReadonlySet<string> = new Set(['UND_ERR_ABORTED', 'UND_ERR_INVALID_ARG'])

function reasonOf(cause: unknown): string {
  const code = codeOf(cause)
  if (proxyCodes.has(code) && cause instanceof Error) return cause.message
  return code === '' ? String(cause) : code
}

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err && typeof err.code === 'string' ? err.code : ''
}
