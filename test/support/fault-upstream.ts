// A real registry with faults: a reverse proxy that stands where a mirror's upstream does, hands everything on in a
// streaming way, and does wrong what its rules say. By hand: `node test/support/fault-upstream.mjs --to URL …`.
//
//   client → [ registry ] → faults → the real registry        registry, cdn and token are listeners of their own
//          → [ cdn      ] →                                   cdn: where blobs are redirected to
//          → [ token    ]                                     token: gives the tokens that `auth` wants
//
// What a request meets, in this order: black hole → latency → status → token wanted → redirect → forwarded, its answer
// altered, paced and cut.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { Pace } from './faults/body.ts'
import { answerControl, type Controls } from './faults/control.ts'
import { overrideHeaders, RealRegistry } from './faults/forward.ts'
import { listen, type Address } from './faults/listener.ts'
import { kindOf, type ListenerName, type SeenRequest } from './faults/requests.ts'
import { FaultRules, type RequestFaults } from './faults/rules.ts'
import { parseFaults, type FaultsInput } from './faults/schema.ts'
import { StatsRecorder } from './faults/stats.ts'
import { TokenService } from './faults/tokens.ts'

export interface FaultUpstreamOptions {
  /** The real registry: `http://` or `https://`, without its /v2/. */
  readonly to: string
  /** Of the registry; a free port of 127.0.0.1, which is also where the other listeners are. */
  readonly listen?: Address
  readonly control?: Address
  /** None, by default. */
  readonly faults?: FaultsInput
}

export interface FaultUpstream {
  /** What a mirror takes for its upstream; an origin, as are the others. */
  readonly url: string
  readonly cdnUrl: string
  readonly tokenUrl: string
  readonly controlUrl: string
  readonly control: Omit<Controls, 'set'> & { set(faults: FaultsInput): Promise<void> }
  /** Breaks off what is under way. */
  close(): Promise<void>
}

const loopback: Address = { host: '127.0.0.1', port: 0 }

interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly url: URL
  readonly seen: SeenRequest
  /** WWW-Authenticate, where the request has no token that it needs. */
  readonly challenge: string | undefined
  readonly faults: RequestFaults
  /** Aborts when the connection closes. */
  readonly signal: AbortSignal
}

/** Starts all listeners. TypeError if the faults are none. */
export async function startFaultUpstream(options: FaultUpstreamOptions): Promise<FaultUpstream> {
  const real = new RealRegistry(new URL(options.to))
  const stats = new StatsRecorder()
  const pace = new Pace()
  let config = parseFaults(options.faults ?? {})
  let rules = new FaultRules(config.rules)
  let tokens = new TokenService(config.auth)
  let settling = Promise.resolve()

  const controls: Controls = {
    async set(faults) {
      config = parseFaults(faults)
      rules = new FaultRules(config.rules)
      tokens = new TokenService(config.auth)
      await settle()
    },
    faults: () => config,
    stats: () => stats.read(),
    reset: () => stats.reset(),
  }
  const connected = () => stats.connected()
  // First those whose port may be taken, so that nothing is left open by a failure.
  const registry = await listen(options.listen ?? loopback, serve('registry'), connected)
  const controlServer = await listen(options.control ?? loopback, (req, res) =>
    answerControl(req, res, controls),
  ).catch(async (err: unknown) => {
    await registry.refuse()
    throw err
  })
  const cdn = await listen(loopback, serve('cdn'), connected)
  const token = await listen(loopback, serve('token'), connected)
  const faulty = [registry, cdn, token]
  await settle()

  /** Opens or closes the ports as the faults say. One at a time: the last that were set decide. */
  function settle(): Promise<void> {
    const settled = settling.then(async () => {
      await Promise.all(faulty.map(server => (config.listening ? server.accept() : server.refuse())))
    })
    settling = settled.catch(() => {})
    return settled
  }

  function serve(listener: ListenerName) {
    return async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
      const url = new URL(`http://upstream${req.url}`)
      const path = url.pathname
      const challenge =
        listener === 'registry' ? tokens.challengeFor(req, path, `${token.url}/token`) : undefined
      const kind = challenge === undefined ? kindOf(path) : 'challenge'
      const seen: SeenRequest = { listener, kind, method: req.method ?? '', path }
      const gone = new AbortController()
      res.once('close', () => gone.abort())
      stats.begun(seen)
      try {
        await answer({ req, res, url, seen, challenge, faults: rules.faultsFor(seen), signal: gone.signal })
      } finally {
        stats.ended()
      }
    }
  }

  async function answer(exchange: Exchange): Promise<void> {
    const { req, res, url, seen, challenge, faults, signal } = exchange
    if (faults.blackHole) return void (await once(res, 'close'))
    if (faults.latencyMs) await delay(faults.latencyMs, undefined, { signal })
    if (faults.status !== undefined) return refuse(exchange, faults.status)
    if (challenge !== undefined) return refuse(exchange, 401, { 'www-authenticate': challenge })
    if (seen.listener === 'token') return sendToken(exchange)
    if (seen.listener === 'cdn' && req.headers.authorization !== undefined) {
      stats.broughtAuthorizationToCdn()
      return refuse(exchange, 400)
    }
    const withholdAuthorization = tokens.isWanted
    const mayRedirect = faults.redirect && seen.listener === 'registry' && seen.kind === 'blob'
    if (mayRedirect && (await real.statusOf(req, withholdAuthorization, signal)) === 200) {
      url.searchParams.set('signature', 'secret')
      return refuse(exchange, 307, { location: `${cdn.url}${url.pathname}${url.search}` })
    }
    await real.forward(req, res, {
      withholdAuthorization,
      faults,
      signal,
      pace,
      count: bytes => stats.sent(seen.kind, bytes),
      answered: status => stats.answered(status),
    })
  }

  function sendToken(exchange: Exchange): void {
    const body =
      exchange.seen.kind === 'token' ? tokens.issue(exchange.req, exchange.url.searchParams) : undefined
    if (body === undefined) return refuse(exchange, 401)
    exchange.res.setHeader('content-type', 'application/json')
    overrideHeaders(exchange.res, exchange.faults.headers)
    stats.answered(200)
    exchange.res.end(JSON.stringify(body))
  }

  /** Answers without the real registry. The request's body is not waited for: the connection closes behind it. */
  function refuse(
    { req, res, faults }: Exchange,
    status: number,
    headers: Record<string, string> = {},
  ): void {
    res.statusCode = status
    res.setHeader('content-type', 'application/json')
    if (!req.complete && req.method !== 'GET' && req.method !== 'HEAD') res.setHeader('connection', 'close')
    overrideHeaders(res, { ...headers, ...faults.headers })
    stats.answered(status)
    res.end(JSON.stringify({ errors: [{ code: codes[status] ?? 'UNKNOWN', message: `fault: ${status}` }] }))
  }

  return {
    url: registry.url,
    cdnUrl: cdn.url,
    tokenUrl: token.url,
    controlUrl: controlServer.url,
    control: controls,
    async close() {
      await settling
      await Promise.all([...faulty, controlServer].map(server => server.refuse()))
      real.close()
    },
  }
}

const codes: Readonly<Record<number, string>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NAME_UNKNOWN',
  405: 'UNSUPPORTED',
  429: 'TOOMANYREQUESTS',
}
