// How one upstream wants to be asked. Nothing is sent until it challenges; from then on every request brings what it
// wants at once, so that a 401 is paid once and not for each request.
//
// 1. authorize(): the scheme is unknown → nothing; Basic → the credentials; Bearer → a token for the scope, kept or
//    fetched.
// 2. The caller asks. On 401 it hands the challenge to reauthorize(), which learns the scheme and gives another header,
//    or undefined if there is nothing better than what was refused: then 401 is the answer.
// 3. The caller asks once more, and never a third time.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { parseChallenges, type Challenge } from './challenge.ts'
import { UpstreamError } from './errors.ts'
import { basicAuthorization, fetchToken } from './token-service.ts'
import { Tokens } from './tokens.ts'
import type { Transport } from './transport.ts'

export interface Credentials {
  readonly username: string
  readonly password: string
}

export interface AuthenticatorDeps {
  /** Name of the upstream. */
  readonly upstream: string
  /** Where the upstream is: its host may have credentials even without TLS, because that is how it was configured. */
  readonly url: URL
  readonly credentials: Credentials | undefined
  readonly transport: Transport
  readonly clock: Clock
  readonly logger: Logger
}

/** The value of an Authorization header. `isNew`: made for this request, so that another try would not be better. */
export interface Authorization {
  readonly header: string
  readonly isNew: boolean
}

interface BearerScheme {
  readonly kind: 'bearer'
  readonly realm: URL
  readonly service: string | undefined
}

type Scheme = { readonly kind: 'basic' } | BearerScheme

export class Authenticator {
  readonly #deps: AuthenticatorDeps
  readonly #tokens: Tokens
  #scheme: Scheme | undefined
  #hasWarned = false

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps
    this.#tokens = new Tokens(deps)
  }

  /** What to send with a first try. Throws UpstreamError if a token is wanted and not to be had. */
  async authorize(scope: string, options: CallOptions = {}): Promise<Authorization | undefined> {
    if (this.#scheme === undefined) return undefined
    return await this.#authorizeAs(this.#scheme, scope, options)
  }

  /** What to send after a 401, given its WWW-Authenticate lines and what it refused. Throws as authorize() does. */
  async reauthorize(
    challenges: readonly string[],
    scope: string,
    refused: Authorization | undefined,
    options: CallOptions = {},
  ): Promise<Authorization | undefined> {
    const scheme = this.#choose(parseChallenges(challenges))
    if (scheme === undefined) return undefined
    if (refused?.isNew && isSameScheme(scheme, this.#scheme)) return undefined
    this.#scheme = scheme
    if (scheme.kind === 'bearer' && refused !== undefined) {
      this.#tokens.forget(keyOf(scheme, scope), refused.header.slice('Bearer '.length))
    }
    return await this.#authorizeAs(scheme, scope, options)
  }

  async #authorizeAs(
    scheme: Scheme,
    scope: string,
    options: CallOptions,
  ): Promise<Authorization | undefined> {
    const { credentials } = this.#deps
    if (scheme.kind === 'basic') {
      return credentials === undefined ? undefined : { header: basicAuthorization(credentials), isNew: true }
    }
    const kept = this.#tokens.peek(keyOf(scheme, scope))
    if (kept !== undefined) return { header: `Bearer ${kept.value}`, isNew: false }
    try {
      const { realm, service } = scheme
      const request = { realm, service, scope, credentials: this.#credentialsFor(realm) }
      const key = keyOf(scheme, scope)
      const token = await this.#tokens.fetch(key, () => fetchToken(request, this.#deps), options)
      return { header: `Bearer ${token.value}`, isNew: true }
    } catch (err) {
      // The upstream may have moved its token service: the next request lets it say where to.
      if (err instanceof UpstreamError && !err.isAnswer && err.failure !== 'limited') this.#scheme = undefined
      throw err
    }
  }

  /** Bearer where it is offered, since Basic beside it is for people; Basic only if there is something to send. */
  #choose(challenges: readonly Challenge[]): Scheme | undefined {
    for (const { scheme, parameters } of challenges) {
      const realm = scheme === 'bearer' ? parseRealm(parameters.get('realm')) : undefined
      if (realm !== undefined) return { kind: 'bearer', realm, service: parameters.get('service') }
    }
    const hasBasic = challenges.some(({ scheme }) => scheme === 'basic')
    return hasBasic && this.#deps.credentials !== undefined ? { kind: 'basic' } : undefined
  }

  /** Never in clear text to a host that the configuration does not name. */
  #credentialsFor(realm: URL): Credentials | undefined {
    const { credentials, url, upstream, logger } = this.#deps
    if (credentials === undefined) return undefined
    if (realm.protocol === 'https:' || realm.hostname === url.hostname || isLoopback(realm.hostname)) {
      return credentials
    }
    if (!this.#hasWarned) {
      this.#hasWarned = true
      logger.warn(
        { upstream, realm: realm.origin },
        'credentials not sent: token service without TLS on another host',
      )
    }
    return undefined
  }
}

function parseRealm(text: string | undefined): URL | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined
  const realm = new URL(text)
  return realm.protocol === 'https:' || realm.protocol === 'http:' ? realm : undefined
}

function keyOf({ realm, service }: BearerScheme, scope: string): string {
  return JSON.stringify([realm.href, service, scope])
}

function isSameScheme(a: Scheme, b: Scheme | undefined): boolean {
  if (a.kind === 'basic' || b?.kind !== 'bearer') return a.kind === b?.kind
  return a.realm.href === b.realm.href && a.service === b.service
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
