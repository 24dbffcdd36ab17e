// Refusals of OAuth2 requests, which have a form of their own. Source: RFC 6749, 5.2.

export type OAuthErrorCode =
  'invalid_request' | 'invalid_grant' | 'invalid_scope' | 'unsupported_grant_type' | 'slow_down'

export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthErrorCode
  readonly status: number

  constructor(code: OAuthErrorCode, description: string, status = 400) {
    super(description)
    this.code = code
    this.status = status
  }
}
