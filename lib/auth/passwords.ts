// Checks names and passwords, wherever they are kept: what the htpasswd scheme does itself, and what the token service
// asks before it gives out a token.
import type { CallOptions } from '../oci/descriptor.ts'

export interface PasswordVerifier {
  /**
   * False for a wrong password and for an unknown user alike, and both take their time. TooManyAttemptsError where too
   * many were wrong.
   */
  verify(user: string, password: string, options?: VerifyOptions): Promise<boolean>
  /**
   * Something that changes whenever the user's password does; undefined: no such user. A verifier that cannot tell has
   * no such method. Not secret enough to be handed out as it is.
   */
  fingerprint?(user: string, options?: CallOptions): Promise<string | undefined>
}

export interface VerifyOptions extends CallOptions {
  /** Where the client is, for those whose guesses are counted; undefined or empty: unknown. */
  readonly address?: string | undefined
}
