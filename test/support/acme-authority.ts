// A small authority for certificates on demand (RFC 8555): it verifies each request, connects to the registry to check
// challenges (RFC 8737), and signs with openssl. Hosts resolve nowhere, so that it is told where to connect to.
import { createHash, randomBytes } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { calculateJwkThumbprint, flattenedVerify, importJWK, type FlattenedJWS, type JWK } from 'jose'
import type { Test } from 'tap'
import type { Certificate } from './certificates.ts'
import { until } from './until.ts'

export interface AuthorityOptions {
  /** Of its own, for keys. */
  readonly directory: string
  /** Makes it speak HTTPS. */
  readonly tls?: Certificate
  /** Whether it answers before the work is done, as large authorities do. */
  readonly isSlow?: boolean
}

export interface Refusal {
  readonly status: number
  readonly type: string
  readonly detail: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Order {
  readonly host: string
  readonly accountId: string
  readonly token: string
  status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'
  /** Why the challenge failed. */
  problem?: string
  chain?: string
}

interface Signed {
  readonly payload: Readonly<Record<string, unknown>>
  readonly jwk: JWK
  /** undefined: signed by a key, and not in the name of an account. */
  readonly accountId: string | undefined
}

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** Ends with the test. */
export async function startAuthority(t: Test, { directory, tls, isSlow = false }: AuthorityOptions) {
  const signer = openSigner(directory)
  const nonces = new Set<string>()
  const accounts: { readonly jwk: JWK; contact: readonly string[] }[] = []
  const orders: Order[] = []
  const paths: string[] = []
  const authority = {
    /** Of its directory. */
    url: '',
    ca: signer.ca,
    accounts,
    orders,
    /** Of all requests. */
    paths,
    /** Where the registry listens on loopback: challenges wait until it is known. */
    registryPort: undefined as number | undefined,
    /** What orders are answered with in place of being taken. */
    refusal: undefined as Refusal | undefined,
    /** How long certificates are good for. */
    days: 90,
    /** How many nonces more are not taken. */
    badNonces: 0,
  }

  async function answer(path: string, signed: Signed): Promise<Answer> {
    const [, kind, id = '', action] = path.split('/')
    if (kind === 'new-account') return createAccount(signed)
    const { accountId = refuse('malformed', 'an account must ask') } = signed
    if (kind === 'accounts') return { body: showAccount(accountId, signed.payload) }
    if (kind === 'new-order') return createOrder(accountId, signed.payload)
    const order = orders[Number(id)]
    if (order?.accountId !== accountId) return refuse('unauthorized', 'this is of another account')
    if (kind === 'authorizations') return { body: showAuthorization(order, id) }
    if (kind === 'challenges') {
      const checked = order.status === 'pending' ? check(order, accounts[Number(accountId)]?.jwk) : undefined
      if (!isSlow) await checked
      return { body: showChallenge(order, id) }
    }
    if (kind === 'certificates') {
      return { headers: { 'Content-Type': 'application/pem-certificate-chain' }, body: order.chain }
    }
    if (action === 'finalize') {
      if (order.status !== 'ready') return refuse('orderNotReady', `the order is ${order.status}`)
      order.status = 'processing'
      const issued = issue(order, String(signed.payload['csr']))
      if (!isSlow) await issued
    }
    return { body: showOrder(order, id) }
  }

  async function createAccount({ jwk, payload }: Signed): Promise<Answer> {
    if (payload['termsOfServiceAgreed'] !== true) return refuse('userActionRequired', 'agree to the terms')
    const print = await calculateJwkThumbprint(jwk)
    const prints = await Promise.all(accounts.map(known => calculateJwkThumbprint(known.jwk)))
    const known = prints.indexOf(print)
    const id = known === -1 ? accounts.push({ jwk, contact: [] }) - 1 : known
    const headers = { Location: here(`/accounts/${id}`) }
    return { status: known === -1 ? 201 : 200, headers, body: showAccount(String(id), payload) }
  }

  function showAccount(id: string, { contact }: Signed['payload']): unknown {
    const account = accounts[Number(id)]
    if (account === undefined) return refuse('accountDoesNotExist', 'there is no such account')
    if (contact !== undefined) account.contact = contact as readonly string[]
    return { status: 'valid', contact: account.contact, orders: here(`/accounts/${id}/orders`) }
  }

  function createOrder(accountId: string, payload: Signed['payload']): Answer {
    if (authority.refusal !== undefined) throw new Refused(authority.refusal)
    const identifiers = payload['identifiers'] as readonly { readonly type: string; readonly value: string }[]
    const [{ type, value: host } = { type: '', value: '' }] = identifiers
    if (identifiers.length !== 1 || type !== 'dns') return refuse('malformed', 'one name a time')
    const order: Order = { host, accountId, token: randomBytes(32).toString('base64url'), status: 'pending' }
    const id = String(orders.push(order) - 1)
    return { status: 201, headers: { Location: here(`/orders/${id}`) }, body: showOrder(order, id) }
  }

  function showOrder({ status, host, problem }: Order, id: string): unknown {
    return {
      status,
      identifiers: [{ type: 'dns', value: host }],
      authorizations: [here(`/authorizations/${id}`)],
      finalize: here(`/orders/${id}/finalize`),
      ...(problem !== undefined && { error: { type: 'about:blank', detail: 'an authorization failed' } }),
      ...(status === 'valid' && { certificate: here(`/certificates/${id}`) }),
    }
  }

  function showAuthorization(order: Order, id: string): unknown {
    const { status, host } = order
    return {
      status: status === 'pending' || status === 'invalid' ? status : 'valid',
      identifier: { type: 'dns', value: host },
      challenges: [
        { type: 'http-01', status: 'pending', url: here(`/none/${id}`), token: order.token },
        showChallenge(order, id),
      ],
    }
  }

  function showChallenge({ status, problem, token }: Order, id: string): unknown {
    return {
      type: 'tls-alpn-01',
      status: status === 'pending' || status === 'invalid' ? status : 'valid',
      url: here(`/challenges/${id}`),
      token,
      ...(problem !== undefined && {
        error: { type: 'urn:ietf:params:acme:error:connection', detail: problem },
      }),
    }
  }

  async function check(order: Order, jwk: JWK = {}): Promise<void> {
    try {
      await until(() => authority.registryPort !== undefined)
      const keyAuthorization = `${order.token}.${await calculateJwkThumbprint(jwk)}`
      await checkChallenge(order.host, authority.registryPort ?? 0, keyAuthorization)
      order.status = 'ready'
    } catch (err) {
      order.problem = (err as Error).message
      order.status = 'invalid'
    }
  }

  async function issue(order: Order, csr: string): Promise<void> {
    await Promise.resolve()
    try {
      order.chain = signer.sign(order.host, csr, authority.days)
      order.status = 'valid'
    } catch (err) {
      order.problem = (err as Error).message
      order.status = 'invalid'
    }
  }

  async function take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? ''
    paths.push(path)
    const nonce = randomBytes(16).toString('base64url')
    nonces.add(nonce)
    res.setHeader('Replay-Nonce', nonce)
    if (path === '/directory') {
      const urls = { newNonce: '/new-nonce', newAccount: '/new-account', newOrder: '/new-order' }
      const shown = Object.entries(urls).map(([name, url]) => [name, here(url)])
      return void res.end(JSON.stringify(Object.fromEntries(shown)))
    }
    if (path === '/new-nonce') return void res.end()
    const isJose = req.method === 'POST' && req.headers['content-type'] === 'application/jose+json'
    if (!isJose) refuse('malformed', 'requests are signed')
    const signed = await verify(JSON.parse(await text(req)) as FlattenedJWS, here(path))
    const { status = 200, headers = {}, body } = await answer(path, signed)
    res.writeHead(status, { 'Content-Type': 'application/json', ...headers })
    res.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

  async function verify(jws: FlattenedJWS, url: string): Promise<Signed> {
    const { payload, protectedHeader = {} } = await flattenedVerify(jws, async ({ alg, kid, jwk }) =>
      importJWK(keyOf(kid, jwk), alg ?? ''),
    )
    const { kid, jwk, nonce, url: signedUrl } = protectedHeader
    if (signedUrl !== url) return refuse('unauthorized', 'this was signed for another URL')
    const isFresh = nonces.delete(String(nonce))
    if (!isFresh || authority.badNonces-- > 0) return refuse('badNonce', 'take another')
    const json = Buffer.from(payload).toString()
    return {
      payload: json === '' ? {} : (JSON.parse(json) as Signed['payload']),
      jwk: keyOf(kid, jwk),
      accountId: kid?.split('/').at(-1),
    }
  }

  function keyOf(kid: string | undefined, jwk: JWK | undefined): JWK {
    if ((kid === undefined) === (jwk === undefined)) return refuse('malformed', 'one of kid and jwk')
    const known = accounts.find((_account, id) => kid === here(`/accounts/${id}`))
    return jwk ?? known?.jwk ?? refuse('accountDoesNotExist', 'there is no such account')
  }

  const here = (path: string) => new URL(path, authority.url).href
  const server = tls === undefined ? http.createServer() : https.createServer(tls)
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    take(req, res).catch((err: unknown) => showRefusal(res, err))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  t.teardown(stop)
  const { port } = server.address() as AddressInfo
  authority.url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/directory`
  return Object.assign(authority, { stop })
}

export type Authority = Awaited<ReturnType<typeof startAuthority>>

class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.detail)
    this.refusal = refusal
  }
}

function refuse(type: string, detail: string): never {
  throw new Refused({ status: 400, type, detail })
}

function showRefusal(res: ServerResponse, err: unknown): void {
  const unexpected = { status: 400, type: 'malformed', detail: String(err) }
  const { status, type, detail, headers }: Refusal = err instanceof Refused ? err.refusal : unexpected
  res.writeHead(status, { 'Content-Type': 'application/problem+json', ...headers })
  res.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail, status }))
}

/** RFC 8737, 3. */
async function checkChallenge(host: string, port: number, keyAuthorization: string): Promise<void> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: host,
    ALPNProtocols: ['acme-tls/1'],
    rejectUnauthorized: false,
  })
  try {
    await once(socket, 'secureConnect')
    const shown = socket.getPeerX509Certificate()
    if (socket.alpnProtocol !== 'acme-tls/1') throw new Error('acme-tls/1 was not agreed on')
    if (shown?.subjectAltName !== `DNS:${host}`) throw new Error(`shown was ${shown?.subjectAltName}`)
    const digest = createHash('sha256').update(keyAuthorization).digest('hex')
    // id-pe-acmeIdentifier, critical: an octet string in the octet string of each extension.
    const extension = Buffer.from(`06082b0601050507011f0101ff04220420${digest}`, 'hex')
    if (!shown.raw.includes(extension)) throw new Error('the certificate is not for this challenge')
  } finally {
    socket.destroy()
  }
}

function openSigner(dir: string) {
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' }).toString()
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    ...['req', '-x509', ...newKey, '-days', '400', '-subj', '/CN=Fake authority'],
    ...['-keyout', 'ca.key', '-out', 'ca.pem'],
  )
  const ca = fs.readFileSync(`${dir}/ca.pem`, 'utf8')
  return {
    ca,
    /** `csr` as it comes: base64url. The chain has the authority, too. */
    sign(host: string, csr: string, days: number): string {
      const name = randomBytes(8).toString('hex')
      const der = Buffer.from(csr, 'base64url').toString('base64').replace(/.{64}/g, '$&\n')
      fs.writeFileSync(
        `${dir}/${name}.csr`,
        `-----BEGIN CERTIFICATE REQUEST-----\n${der}\n-----END CERTIFICATE REQUEST-----\n`,
      )
      const asked = openssl('req', '-in', `${name}.csr`, '-verify', '-noout', '-text')
      const [, names] = /Subject Alternative Name:[^\n]*\n\s*([^\n]*)/.exec(asked) ?? []
      if (names?.trim() !== `DNS:${host}`) refuse('badCSR', `it asks for ${names}`)
      const leaf = openssl(
        ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
        ...['-days', String(days), '-copy_extensions', 'copyall'],
      )
      return leaf + ca
    },
  }
}
