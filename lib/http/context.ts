// What a request carries through the onion: its id, what it was routed to, who makes it and whether its client is
// still there. Never services: those reach an endpoint when it is made.
import type { ServerResponse } from 'node:http'
import type Koa from 'koa'
import type { Credentials, Grant } from '../auth/access-controller.ts'
import { verifiedName } from './client-certificate.ts'
import type { RegistryError } from '../oci/errors.ts'
import type { Match } from './router.ts'

export type Context = Koa.ParameterizedContext<RequestState>
export type Middleware = Koa.Middleware<RequestState>

export class RequestState {
  readonly id: string
  readonly startedAtMs: number
  readonly match: Match
  /** Without a port; '' where it has none. See client-address.ts. */
  readonly clientAddress: string
  grant: Grant | undefined
  /** What was answered instead of what was asked for. */
  failure: RegistryError | undefined
  readonly #res: ServerResponse
  readonly #connection: AbortSignal
  readonly #reports: (() => void)[] = []

  constructor(
    res: ServerResponse,
    request: {
      readonly id: string
      readonly startedAtMs: number
      readonly match: Match
      readonly clientAddress: string
      readonly connection: AbortSignal
    },
  ) {
    this.#res = res
    this.#connection = request.connection
    this.id = request.id
    this.startedAtMs = request.startedAtMs
    this.match = request.match
    this.clientAddress = request.clientAddress
    // One listener for all that want to know: Node warns of a leak at the eleventh, and streaming adds seven.
    res.once('close', () => this.#closed())
  }

  /** Whether the connection has closed before the answer was complete. */
  get isAbandoned(): boolean {
    return this.#res.destroyed && !this.#res.writableFinished
  }

  /** Aborted when the request is abandoned. */
  get signal(): AbortSignal {
    return this.isAbandoned ? AbortSignal.abort() : this.#connection
  }

  /** Calls back once, when the response has been handed to the system or its connection is gone. */
  whenClosed(report: () => void): void {
    this.#reports.push(report)
  }

  #closed(): void {
    for (const report of this.#reports) report()
  }
}

export function credentialsOf(ctx: Context): Credentials {
  const { authorization, host, 'x-forwarded-proto': proto } = ctx.req.headers
  const [forwardedProto] = typeof proto === 'string' ? proto.toLowerCase().split(/[ ,]/, 1) : []
  const { socket } = ctx.req
  return {
    authorization,
    host,
    forwardedProto,
    address: ctx.state.clientAddress,
    get certificate() {
      return verifiedName(socket)
    },
  }
}

/** The first value of a query parameter; undefined if it is not there or empty. */
export function queryValue(ctx: Context, name: string): string | undefined {
  const value = ctx.query[name]
  const first = typeof value === 'string' ? value : value?.[0]
  return first === '' ? undefined : first
}

/** Ends an answer that has no body: `Content-Length: 0`, or no length at all where the status forbids one. */
export function answerEmpty(ctx: Context, status: number): void {
  ctx.body = null
  ctx.status = status
  if (status !== 204 && status !== 304) ctx.set('Content-Length', '0')
}

/** Answers with a line of JSON under the bare media type, which is how registry clients expect it. */
export function answerJson(ctx: Context, value: unknown): void {
  ctx.set('Content-Type', 'application/json')
  ctx.body = `${JSON.stringify(value)}\n`
}
