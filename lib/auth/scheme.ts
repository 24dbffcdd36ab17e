// What silly and htpasswd have in common: a scheme finds out who asks, the rules say what that one may do.
import type { Metrics } from '../metrics.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import {
  DeniedError,
  UnauthorizedError,
  type Access,
  type AccessController,
  type Credentials,
  type Grant,
} from './access-controller.ts'
import type { AccessRules } from './access-rules.ts'
import type { Principal } from './principal.ts'

export interface Scheme {
  /** The user's name; undefined: the credentials are not good. `authorization` is there. TooManyAttemptsError. */
  identify(
    credentials: Credentials & { readonly authorization: string },
    options?: CallOptions,
  ): Promise<string | undefined>
  /** The value of WWW-Authenticate. */
  challenge(credentials: Credentials, wanted: readonly Access[]): string
}

export interface AccessDeps {
  readonly rules: AccessRules
  readonly metrics: Metrics
}

/** `scheme` undefined: a certificate is all that anybody can show. */
export function createRuledController(
  scheme: Scheme | undefined,
  { rules, metrics }: AccessDeps,
): AccessController {
  const refuse = (credentials: Credentials, wanted: readonly Access[]) => {
    if (scheme === undefined) return new DeniedError(wanted)
    return new UnauthorizedError(scheme.challenge(credentials, wanted), { wanted })
  }

  return {
    async authorize(credentials, wanted, options) {
      const certificate = knownCertificate(credentials, rules)
      const { authorization } = credentials
      if (scheme === undefined || !isGiven(authorization)) {
        const principal = { name: undefined, certificate }
        if (isLetIn(principal, wanted, { rules, asksWhoItIs: scheme !== undefined }))
          return grantTo(principal, rules)
        throw refuse(credentials, wanted)
      }
      const name = await scheme.identify({ ...credentials, authorization }, options)
      if (name === undefined) throw refuse(credentials, wanted)
      const principal = { name, certificate }
      const denied = wanted.filter(access => !rules.allows(principal, access))
      if (denied.length === 0) return grantTo(principal, rules)
      metrics.authFailures.inc({ reason: 'denied' })
      throw new DeniedError(denied)
    },
  }
}

/** Only a certificate that some rule is for tells who somebody is. */
export function knownCertificate({ certificate }: Credentials, rules: AccessRules): string | undefined {
  return certificate !== undefined && rules.knowsCertificate(certificate) ? certificate : undefined
}

/** podman and skopeo answer a Basic challenge with an empty name and an empty password where they have none. */
export function isGiven(authorization: string | undefined): authorization is string {
  return authorization !== undefined && authorization !== '' && !/^basic Og==$/i.test(authorization)
}

/**
 * Whether somebody without password or token gets what is wanted. `GET /v2/`, which wants nothing, is where clients
 * look for a challenge, and some look nowhere else: who has nothing to show is challenged there, although anonymous
 * pulls may be allowed.
 */
export function isLetIn(
  principal: Principal,
  wanted: readonly Access[],
  { rules, asksWhoItIs }: { readonly rules: AccessRules; readonly asksWhoItIs: boolean },
): boolean {
  if (wanted.length === 0) return !asksWhoItIs || principal.certificate !== undefined
  return wanted.every(access => rules.allows(principal, access))
}

export function grantTo(principal: Principal, rules: AccessRules): Grant {
  return {
    principal: principal.name ?? principal.certificate,
    mayPull: name => rules.allows(principal, { type: 'repository', name, action: 'pull' }),
  }
}
