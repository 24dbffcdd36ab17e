// Who may do what: the contract between the HTTP layer, which knows what a request wants, and a scheme, which knows
// who asks. A scheme either grants everything that is wanted or throws; there is no partial grant.
import type { CallOptions } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/errors.ts'

/** One thing that a request wants to do. Source: distribution "Token Scope Documentation". */
export interface Access {
  readonly type: 'repository' | 'registry'
  /** A repository name, or `catalog`. */
  readonly name: string
  readonly action: 'pull' | 'push' | 'delete' | '*'
  /**
   * The short name that a client asked for it by (`nginx` of `library/nginx`), where that can mean no other repository.
   * Only tokens know of it: clients make up scopes of the names that they were given.
   */
  readonly alias?: string | undefined
  /** Welcome, but not insisted on: who may do the rest is let in without it, who may not is told of it all. */
  readonly isDispensable?: boolean | undefined
}

/** What a request brings along to prove who it is. */
export interface Credentials {
  /** The Authorization header as it came. */
  readonly authorization: string | undefined
  /** The Host header, for schemes whose challenge names this registry. */
  readonly host: string | undefined
  /** The scheme that a proxy before us says the client used. */
  readonly forwardedProto?: string | undefined
  /** Common name of the client certificate, where there is one that the listener has verified. */
  readonly certificate?: string | undefined
  /** Where the client is; undefined or empty: unknown. */
  readonly address?: string | undefined
}

export interface Grant {
  /** Who was let in; undefined if nobody was asked. */
  readonly principal: string | undefined
  /** Which repositories a list may show; undefined: every one. */
  readonly mayPull?: ((repository: string) => boolean) | undefined
}

export interface AccessController {
  /**
   * Lets all of `wanted` through or throws: UnauthorizedError, or RegistryError DENIED. Nothing wanted still asks for
   * valid credentials, as `GET /v2/` is how clients try theirs.
   */
  authorize(credentials: Credentials, wanted: readonly Access[], options?: CallOptions): Promise<Grant>
}

/** Credentials are missing or do not suffice. `challenge` is the value of WWW-Authenticate. */
export class UnauthorizedError extends RegistryError {
  override readonly name = 'UnauthorizedError'
  readonly challenge: string

  constructor(challenge: string, options: { readonly wanted: readonly Access[]; readonly cause?: unknown }) {
    super('UNAUTHORIZED', 'Cannot authorize request: credentials are missing or do not suffice', {
      detail: options.wanted.length === 0 ? null : options.wanted.map(toDetail),
      cause: options.cause,
    })
    this.challenge = challenge
  }
}

/** It is known who asks, and that they may not: new credentials of theirs would not help. */
export class DeniedError extends RegistryError {
  override readonly name = 'DeniedError'

  constructor(denied: readonly Access[]) {
    super('DENIED', 'Cannot authorize request: no rule allows it', { detail: denied.map(toDetail) })
  }
}

/** Credentials are not even looked at now: too many of this client's were wrong, or too many wait. */
export class TooManyAttemptsError extends RegistryError {
  override readonly name = 'TooManyAttemptsError'
  readonly retryAfterMs: number

  constructor(retryAfterMs: number, detail: string) {
    super('TOOMANYREQUESTS', `Cannot check credentials: ${detail}`, { detail })
    this.retryAfterMs = retryAfterMs
  }
}

/** distribution's clients read the access records with these capitals. */
function toDetail({ type, name, action }: Access) {
  return { Type: type, Class: '', Name: name, Action: action }
}
