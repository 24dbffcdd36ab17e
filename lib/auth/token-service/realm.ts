// What clients are told about where tokens are.
import type { TokenServiceConfig } from '../../config/auth.ts'
import type { Credentials } from '../access-controller.ts'

export interface RealmSettings {
  /** http.host: where clients reach this registry. */
  readonly host: URL | undefined
  /** Whether the listener itself speaks TLS. */
  readonly isTls: boolean
}

/** `tokenservice.realm`, else the path at `http.host`, else at where the request was sent to. */
export function createRealm(
  { realm, path }: TokenServiceConfig,
  { host, isTls }: RealmSettings,
): (credentials: Credentials) => string {
  const fixed = realm?.href ?? (host && `${host.origin}${path}`)
  if (fixed !== undefined) return () => fixed
  return credentials => {
    const { forwardedProto: said } = credentials
    const isKnown = said === 'http' || said === 'https'
    return `${isKnown ? said : isTls ? 'https' : 'http'}://${hostOf(credentials)}${path}`
  }
}

/** Clients send passwords there: nothing but a host may come of what the header says. */
function hostOf({ host = '' }: Credentials): string {
  return /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host) ? host : 'localhost'
}
