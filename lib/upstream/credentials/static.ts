// Credentials that stand in the configuration.
import type { Credentials, CredentialSource } from './credential-source.ts'

/** The same for every repository and for ever; that they were refused changes nothing. */
export function staticCredentials(credentials: Credentials): CredentialSource {
  return { get: async () => credentials, refused() {} }
}
