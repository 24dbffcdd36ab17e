// A registry on loopback whose misbehaviour is programmed: what the upstream client and the fills are tested against.
// It speaks HTTP through node:http, keeps content in maps, records what it was asked and counts what it sent. Every
// member of `behaviour` may be changed while requests are under way; a body looks at it again before each chunk.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { fakeList, type FakeList, type FakeListBehaviour } from './fake-lists.ts'
import { Gate } from './gate.ts'

export interface FakeUpstreamBehaviour extends FakeListBehaviour {
  auth: 'none' | 'basic' | 'bearer'
  /** Who may ask; for bearer it is the token service that wants them. Undefined lets anybody have a token. */
  credentials: { readonly username: string; readonly password: string } | undefined
  /** Replaces WWW-Authenticate; several members are several header lines. */
  challenges: readonly string[] | undefined
  /** `expires_in` of tokens in seconds; undefined leaves it out. */
  expiresInSeconds: number | undefined
  tokenMember: 'token' | 'access_token'
  /** Blobs are answered with 307 to a second server. */
  cdn: boolean
  /** Waited before each answer. */
  latencyMs: number
  bytesPerSecond: number | undefined
  /** Resets the connection after so many bytes of a blob's body, in the next `cutTimes` bodies that are as long. */
  cutAfterBytes: number | undefined
  cutTimes: number
  /** Changes blobs on their way out (the same for every request): wrong, short or long content. */
  alter: ((bytes: Buffer) => Buffer) | undefined
  /** No Content-Length. */
  chunked: boolean
  ignoreRange: boolean
  /** HEAD is answered with 405. */
  headRefused: boolean
  /** False leaves Docker-Content-Digest out; a string is sent in its place. */
  contentDigest: boolean | string
  /** Added to, or in place of, the headers of blobs and manifests. */
  extraHeaders: Readonly<Record<string, string>>
}

export interface FakeUpstreamOptions extends Partial<FakeUpstreamBehaviour> {
  /** Path in front of /v2/, such as `/mirror`. */
  readonly prefix?: string
}

export interface RecordedRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export interface PlannedFailure {
  /** `reset` closes the connection in place of an answer. */
  readonly status: number | 'reset'
  /** Default 1. */
  readonly times?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Tested against `METHOD /path`; by default everything but the token service (`/token`) and the CDN (`/cdn/…`). */
  readonly match?: RegExp
}

/** Structural, so that benchmarks can hand in something else than a tap test. */
interface Owner {
  teardown(close: () => Promise<void>): unknown
}

type Handler = (req: IncomingMessage, res: ServerResponse, url: URL) => Promise<unknown>

/** Starts the registry, its token service and its CDN on free ports of 127.0.0.1; they end with the test. */
export async function startFakeUpstream(t: Owner, options: FakeUpstreamOptions = {}) {
  const { prefix = '', ...given } = options
  const behaviour: FakeUpstreamBehaviour = { ...defaults, ...given }
  const blobs = new Map<string, Buffer>()
  const manifests = new Map<string, { readonly bytes: Buffer; readonly mediaType: string }>()
  const requests: RecordedRequest[] = []
  const tokenRequests: RecordedRequest[] = []
  const cdnRequests: RecordedRequest[] = []
  const failures: (PlannedFailure & { left: number })[] = []
  const tokens = new Map<string, string>()
  const gate = new Gate()
  let tokensMade = 0
  let bytesSent = 0
  let openBodies = 0

  const cdnOrigin = await listen(t, cdnRequests, (req, res, url) => sendBlob(req, res, url.pathname.slice(5)))
  const tokenOrigin = await listen(t, tokenRequests, sendToken)
  const origin = await listen(t, requests, route)

  async function listen(t: Owner, log: RecordedRequest[], handle: Handler): Promise<string> {
    const server = createServer((req, res) => {
      log.push({ method: req.method ?? '', path: req.url ?? '', headers: req.headers })
      // A connection that the client or a cut has closed is no failure of the server.
      answer(req, res, handle).catch(() => res.destroy())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(async () => {
      gate.release()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async function answer(req: IncomingMessage, res: ServerResponse, handle: Handler): Promise<void> {
    const line = `${req.method} ${req.url}`
    if (behaviour.latencyMs > 0) await delay(behaviour.latencyMs)
    await gate.passHeaders(res)
    const failure = failures.find(one => one.left > 0 && (one.match ?? /^\w+ (?!\/token|\/cdn\/)/).test(line))
    if (failure === undefined) return void (await handle(req, res, new URL(`http://fake${req.url}`)))
    failure.left--
    if (failure.status === 'reset') req.socket.destroy()
    else refuse(res, failure.status, failure.headers)
  }

  async function route(req: IncomingMessage, res: ServerResponse, url: URL): Promise<unknown> {
    if (!url.pathname.startsWith(`${prefix}/v2/`)) return refuse(res, 404)
    const path = url.pathname.slice(prefix.length + 4)
    const match = /^(.+)\/(blobs|manifests)\/([^/]+)$/.exec(path)
    const name = match?.[1] ?? /^(.+)\/(?:tags|referrers)\/[^/]+$/.exec(path)?.[1] ?? ''
    if (!isAllowed(req, name)) return refuse(res, 401, { 'WWW-Authenticate': challenges(name) })
    if (path === '') return res.end('{}')
    if (match === null) return sendList(res, fakeList(url, path, manifests, behaviour))
    if (req.method === 'HEAD' && behaviour.headRefused) return refuse(res, 405)
    if (match[2] === 'manifests') return sendManifest(req, res, `${name}/${match[3]}`)
    const blobKey = `${name}/${match[3]}`
    if (!behaviour.cdn || !blobs.has(blobKey)) return sendBlob(req, res, blobKey)
    return res.writeHead(307, { Location: `${cdnOrigin}/cdn/${blobKey}?signature=secret` }).end('moved')
  }

  function isAllowed(req: IncomingMessage, name: string): boolean {
    const header = req.headers.authorization ?? ''
    if (behaviour.auth === 'basic') return header === basic(behaviour.credentials)
    if (behaviour.auth === 'none') return true
    const scope = tokens.get(header.slice('Bearer '.length))
    return scope !== undefined && (name === '' || scope === `repository:${name}:pull`)
  }

  function challenges(name: string): string[] {
    if (behaviour.challenges !== undefined) return [...behaviour.challenges]
    if (behaviour.auth === 'basic') return ['Basic realm="fake"']
    const scope = name === '' ? '' : `,scope="repository:${name}:pull"`
    return [`Bearer realm="${tokenOrigin}/token",service="fake, registry"${scope}`]
  }

  async function sendToken(req: IncomingMessage, res: ServerResponse, url: URL): Promise<unknown> {
    const wanted = behaviour.credentials
    if (wanted !== undefined && req.headers.authorization !== basic(wanted)) return refuse(res, 401)
    const token = `token-${++tokensMade}`
    tokens.set(token, url.searchParams.get('scope') ?? '')
    const body = { [behaviour.tokenMember]: token, expires_in: behaviour.expiresInSeconds }
    return res.setHeader('Content-Type', 'application/json').end(JSON.stringify(body))
  }

  function sendManifest(req: IncomingMessage, res: ServerResponse, key: string): unknown {
    const found = manifests.get(key)
    if (found === undefined) return refuse(res, 404)
    res.setHeader('Content-Type', found.mediaType)
    setContentHeaders(res, digestOf(found.bytes), found.bytes.length)
    if (req.method === 'HEAD') return res.end()
    bytesSent += found.bytes.length
    if (behaviour.chunked) res.write(found.bytes.subarray(0, 1))
    return res.end(behaviour.chunked ? found.bytes.subarray(1) : found.bytes)
  }

  function sendList(res: ServerResponse, list: FakeList | undefined): unknown {
    if (list === undefined) return refuse(res, 404)
    if (list.link !== undefined) res.setHeader('Link', list.link)
    return res.setHeader('Content-Type', list.contentType).end(list.body)
  }

  async function sendBlob(req: IncomingMessage, res: ServerResponse, key: string): Promise<unknown> {
    const stored = blobs.get(key)
    if (stored === undefined) return refuse(res, 404)
    const bytes = behaviour.alter?.(stored) ?? stored
    const match = behaviour.ignoreRange ? null : /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '')
    const start = Number(match?.[1] ?? 0)
    const end = match?.[2] ? Math.min(Number(match[2]) + 1, bytes.length) : bytes.length
    if (match !== null && start >= bytes.length) return refuse(res, 416)
    res.statusCode = match === null ? 200 : 206
    if (match !== null) res.setHeader('Content-Range', `bytes ${start}-${end - 1}/${bytes.length}`)
    res.setHeader('Content-Type', 'application/octet-stream')
    setContentHeaders(res, key.slice(key.lastIndexOf('/') + 1), end - start)
    if (req.method === 'HEAD') return res.end()
    openBodies++
    try {
      return await sendBody(res, bytes.subarray(start, end))
    } finally {
      openBodies--
    }
  }

  function setContentHeaders(res: ServerResponse, digest: string, length: number): void {
    if (!behaviour.chunked) res.setHeader('Content-Length', length)
    if (behaviour.contentDigest !== false) {
      res.setHeader(
        'Docker-Content-Digest',
        behaviour.contentDigest === true ? digest : behaviour.contentDigest,
      )
    }
    for (const [header, value] of Object.entries(behaviour.extraHeaders)) res.setHeader(header, value)
  }

  async function sendBody(res: ServerResponse, body: Buffer): Promise<void> {
    res.flushHeaders()
    let sent = 0
    while (sent < body.length && !res.destroyed) {
      const cutAt = behaviour.cutTimes > 0 ? (behaviour.cutAfterBytes ?? Infinity) : Infinity
      const stop = Math.min(body.length, cutAt, sent + chunkBytes, gate.limit(sent))
      if (sent >= cutAt) {
        behaviour.cutTimes--
        return void res.destroy()
      }
      if (stop === sent) {
        await gate.passBody(res)
        continue
      }
      const chunk = body.subarray(sent, stop)
      sent = stop
      bytesSent += chunk.length
      // Waiting for the flush is what makes bytesSent follow the client's pace and lets bytes go before a cut.
      await new Promise<void>(resolve => {
        const settle = () => {
          res.off('close', settle)
          resolve()
        }
        res.once('close', settle)
        res.write(chunk, settle)
      })
      if (behaviour.bytesPerSecond) await delay((chunk.length / behaviour.bytesPerSecond) * 1000)
    }
    res.end()
  }

  return {
    /** To hand to the client: origin and prefix. */
    url: new URL(`${origin}${prefix}`),
    behaviour,
    requests,
    tokenRequests,
    cdnRequests,
    /** Bytes of manifests and blobs handed to sockets. */
    get bytesSent() {
      return bytesSent
    },
    /** Blob bodies being sent at this moment, held ones included. */
    get openBodies() {
      return openBodies
    },
    /** How many requests to the registry match `METHOD /path`. */
    count: (pattern: RegExp) => requests.filter(one => pattern.test(`${one.method} ${one.path}`)).length,
    addBlob(name: string, bytes: Uint8Array): Digest {
      const digest = digestOf(bytes)
      blobs.set(`${name}/${digest}`, Buffer.from(bytes))
      return digest
    },
    /** Bytes are served as they are, anything else as its JSON; found by digest and, if given, by tag. */
    addManifest(
      name: string,
      tag: string | undefined,
      content: Uint8Array | object,
      mediaType: string = mediaTypes.ociManifest,
    ): Digest {
      const bytes = Buffer.from(content instanceof Uint8Array ? content : JSON.stringify(content))
      const digest = digestOf(bytes)
      for (const reference of [digest, ...(tag === undefined ? [] : [tag])]) {
        manifests.set(`${name}/${reference}`, { bytes, mediaType })
      }
      return digest
    },
    removeBlob: (name: string, digest: Digest) => blobs.delete(`${name}/${digest}`),
    removeManifest: (name: string, reference: string) => manifests.delete(`${name}/${reference}`),
    /** Answers the next requests that match with a status of its own. */
    failNext: (failure: PlannedFailure) => failures.push({ ...failure, left: failure.times ?? 1 }),
    /** Planned failures that no request has met yet. */
    get pendingFailures() {
      return failures.reduce((sum, one) => sum + one.left, 0)
    },
    /** Takes back what failNext() has planned. */
    forgetFailures: () => failures.splice(0),
    /** No token handed out so far is accepted any more. */
    revokeTokens: () => tokens.clear(),
    /** Stops every body after so many bytes of it, or every answer before its headers, until release(). */
    hold: (at: number | 'headers' = 0) => gate.hold(at),
    /** Settles as soon as something waits at the gate. */
    held: () => gate.reached(),
    release: () => gate.release(),
  }
}

export type FakeUpstream = Awaited<ReturnType<typeof startFakeUpstream>>

const chunkBytes = 64 * 1024

const defaults: FakeUpstreamBehaviour = {
  auth: 'none',
  credentials: undefined,
  challenges: undefined,
  expiresInSeconds: 300,
  tokenMember: 'token',
  cdn: false,
  latencyMs: 0,
  bytesPerSecond: undefined,
  cutAfterBytes: undefined,
  cutTimes: Infinity,
  alter: undefined,
  chunked: false,
  ignoreRange: false,
  headRefused: false,
  contentDigest: true,
  extraHeaders: {},
  referrersApi: true,
  pageSize: undefined,
}

function basic(credentials: FakeUpstreamBehaviour['credentials']): string {
  const { username = '', password = '' } = credentials ?? {}
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function refuse(
  res: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | string[]>> = {},
) {
  for (const [header, value] of Object.entries(headers)) res.setHeader(header, value)
  res.statusCode = status
  return res.end(JSON.stringify({ errors: [{ code: 'FAKE', message: `status ${status}` }] }))
}
