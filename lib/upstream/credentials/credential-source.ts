// Who we are at an upstream, as a thing that is asked each time: secrets are rotated, tokens of cloud providers end,
// and two repositories of one upstream may belong to two accounts.
import type { CallOptions } from '../../oci/descriptor.ts'
import type { RepositoryName } from '../../oci/repository-name.ts'

export interface Credentials {
  /** `<token>`: `password` is an identity token, good for a token service and never sent as Basic. */
  readonly username: string
  readonly password: string
}

export interface CredentialSource {
  /**
   * What to authenticate with for a repository; undefined means as anybody. Ends by itself, within a minute, since
   * many wait for one answer: `signal` ends the caller's waiting only. Throws UpstreamError `unavailable` where
   * credentials are configured but not to be had; it says nothing of how the upstream is doing.
   */
  get(repository: RepositoryName, options?: CallOptions): Promise<Credentials | undefined>
  /** The upstream did not take them: a source that keeps some gets others, though not more often than it can bear. */
  refused(credentials: Credentials): void
}

/** Docker's convention: a user name that says that the secret is an identity (refresh) token. */
export function isIdentityToken({ username }: Credentials): boolean {
  return username === '<token>'
}

export function isSameCredentials(a: Credentials, b: Credentials): boolean {
  return a.username === b.username && a.password === b.password
}
