// How one upstream wants to be asked. Nothing is sent until it challenges; from then on every request brings what it
// wants at once, so that a 401 is paid once and not for each request.
//
// 1. authorize(): the scheme is unknown → nothing; Basic → the credentials; Bearer → a token for the scope, kept or
//    fetched.
// 2. The caller asks. On 401 it hands the challenge to reauthorize(), which learns the scheme and gives another header,
//    or undefined if there is nothing better than what was refused: then 401 is the answer.
// 3. The caller asks once more, and never a third time.
import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { parseChallenges, type Challenge } from './challenge.ts'
import {
  isIdentityToken,
  isSameCredentials,
  type Credentials,
  type CredentialSource,
} from './credentials/credential-source.ts'
import type { Perishable, Renewed } from './credentials/renewed.ts'
import { UpstreamError } from './errors.ts'
import { isOwnTokenHost } from './token-host.ts'
import { basicAuthorization, fetchToken } from './token-service.ts'
import { Tokens } from './tokens.ts'
import type { Transport } from './transport.ts'

export interface AuthenticatorDeps {
  /** Name of the upstream. */
  readonly upstream: string
  /** Where the upstream is: its host may have credentials even without TLS, because that is how it was configured. */
  readonly url: URL
  readonly credentials: CredentialSource | undefined
  /** Whether the configuration names a host, so that credentials may go to a token service there; default none. */
  readonly isTrustedHost?: ((hostname: string) => boolean) | undefined
  readonly transport: Transport
  /** Whose connections lead to a token service, where a token is posted; default undici's global, unguarded ones. */
  readonly dispatcherFor?: ((url: URL) => Dispatcher) | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** What to send for authentication with one request. */
export interface Authorization {
  /** The value of the header. */
  readonly header: string
  /** A token that was fetched for this request, so that another would not be better. */
  readonly isNew: boolean
  /** What it was made of, if that is all it is made of. */
  readonly credentials?: Credentials
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
  readonly #warnedOf = new Set<string>()
  #scheme: Scheme | undefined

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps
    this.#tokens = new Tokens(deps)
  }

  /**
   * What to send with a first try to pull from a repository. Throws UpstreamError if a token or credentials are
   * wanted and not to be had.
   */
  async authorize(repository: RepositoryName, options: CallOptions = {}): Promise<Authorization | undefined> {
    if (this.#scheme === undefined) return undefined
    return await this.#authorizeAs(this.#scheme, repository, options)
  }

  /** What to send after a 401, given its WWW-Authenticate lines and what it refused. Throws as authorize() does. */
  async reauthorize(
    challenges: readonly string[],
    repository: RepositoryName,
    refused: Authorization | undefined,
    options: CallOptions = {},
  ): Promise<Authorization | undefined> {
    const scheme = this.#choose(parseChallenges(challenges))
    if (scheme === undefined) return undefined
    if (refused?.isNew && isSameScheme(scheme, this.#scheme)) return undefined
    this.#scheme = scheme
    if (refused !== undefined) this.#giveUp(refused, scheme, repository)
    const better = await this.#authorizeAs(scheme, repository, options)
    return better?.header === refused?.header ? undefined : better
  }

  async #authorizeAs(
    scheme: Scheme,
    repository: RepositoryName,
    options: CallOptions,
  ): Promise<Authorization | undefined> {
    if (scheme.kind === 'basic') return await this.#authorizeBasic(repository, options)
    const token = this.#tokenFor(scheme, repository)
    const kept = token.peek()
    if (kept !== undefined) return { header: `Bearer ${kept.value}`, isNew: false }
    try {
      return { header: `Bearer ${(await token.get(options)).value}`, isNew: true }
    } catch (err) {
      // The upstream may have moved its token service: the next request lets it say where to.
      if (err instanceof UpstreamError && !err.isAnswer && err.failure !== 'limited') this.#scheme = undefined
      throw err
    }
  }

  async #authorizeBasic(
    repository: RepositoryName,
    options: CallOptions,
  ): Promise<Authorization | undefined> {
    const credentials = await this.#deps.credentials?.get(repository, options)
    if (credentials === undefined) return undefined
    if (isIdentityToken(credentials)) {
      this.#warnOnce(
        {},
        'credentials not sent: an identity token is no password, and there is no token service',
      )
      return undefined
    }
    return { header: basicAuthorization(credentials), isNew: false, credentials }
  }

  /** Has what was refused replaced, unless that has happened since it was sent. */
  #giveUp(refused: Authorization, scheme: Scheme, repository: RepositoryName): void {
    if (refused.credentials !== undefined) this.#deps.credentials?.refused(refused.credentials)
    if (scheme.kind === 'bearer') {
      this.#tokenFor(scheme, repository).drop(value => refused.header === `Bearer ${value}`)
    }
  }

  #tokenFor(scheme: BearerScheme, repository: RepositoryName): Renewed<string> {
    // The repository decides on the credentials, so that a token never serves another one.
    const key = JSON.stringify([scheme.realm.href, scheme.service, repository])
    return this.#tokens.of(key, () => this.#fetchToken(scheme, repository))
  }

  /** Tries once more where the credentials were refused and the source then has others. */
  async #fetchToken(
    { realm, service }: BearerScheme,
    repository: RepositoryName,
  ): Promise<Perishable<string>> {
    const source = this.#sourceFor(realm)
    const request = { realm, service, scope: `repository:${repository}:pull` }
    const credentials = await source?.get(repository)
    try {
      return await fetchToken({ ...request, credentials }, this.#deps)
    } catch (err) {
      const isRefusal = err instanceof UpstreamError && err.failure === 'denied'
      if (source === undefined || credentials === undefined || !isRefusal) throw err
      source.refused(credentials)
      const others = await source.get(repository)
      if (others === undefined || isSameCredentials(others, credentials)) throw err
      return await fetchToken({ ...request, credentials: others }, this.#deps)
    }
  }

  /** Bearer where it is offered, since Basic beside it is for people; Basic only if there may be something to send. */
  #choose(challenges: readonly Challenge[]): Scheme | undefined {
    for (const { scheme, parameters } of challenges) {
      const realm = scheme === 'bearer' ? parseRealm(parameters.get('realm')) : undefined
      if (realm !== undefined) return { kind: 'bearer', realm, service: parameters.get('service') }
    }
    const hasBasic = challenges.some(({ scheme }) => scheme === 'basic')
    return hasBasic && this.#deps.credentials !== undefined ? { kind: 'basic' } : undefined
  }

  /** To the upstream's own host, else never in clear text, and to none that somebody else may have. */
  #sourceFor(realm: URL): CredentialSource | undefined {
    const { credentials, url, isTrustedHost } = this.#deps
    if (credentials === undefined) return undefined
    if (realm.hostname === url.hostname || isLoopback(realm.hostname)) return credentials
    const hasTls = realm.protocol === 'https:'
    const isTrusted = isTrustedHost?.(realm.hostname) === true || isOwnTokenHost(realm.hostname, url.hostname)
    if (hasTls && isTrusted) return credentials
    const message = hasTls
      ? 'credentials not sent: token service on a host of another domain; trustedhosts would allow it'
      : 'credentials not sent: token service without TLS on another host'
    this.#warnOnce({ realm: realm.origin }, message)
    return undefined
  }

  #warnOnce(fields: Readonly<Record<string, string>>, message: string): void {
    if (this.#warnedOf.has(message)) return
    this.#warnedOf.add(message)
    this.#deps.logger.warn({ upstream: this.#deps.upstream, ...fields }, message)
  }
}

function parseRealm(text: string | undefined): URL | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined
  const realm = new URL(text)
  return realm.protocol === 'https:' || realm.protocol === 'http:' ? realm : undefined
}

function isSameScheme(a: Scheme, b: Scheme | undefined): boolean {
  if (a.kind === 'basic' || b?.kind !== 'bearer') return a.kind === b?.kind
  return a.realm.href === b.realm.href && a.service === b.service
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
