// What can go wrong at an upstream, in the terms that callers decide on.
import { RegistryError } from '../oci/errors.ts'

/**
 * - `unknown`: it answered that the content does not exist (404)
 * - `denied`: 401 or 403 after authenticating as configured; Docker Hub says so of unknown names, too
 * - `limited`: 429, it wants us to wait
 * - `unavailable`: no answer in time, a broken connection, or 5xx
 * - `invalid`: an answer that cannot be trusted: wrong digest, wrong length, not a manifest
 */
export type UpstreamFailure = 'unknown' | 'denied' | 'limited' | 'unavailable' | 'invalid'

export interface UpstreamErrorOptions {
  readonly cause?: unknown
  /** HTTP status, where there was an answer. */
  readonly status?: number | undefined
  /** From Retry-After, milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** False where the upstream was not asked at all, so that this says nothing of how it is doing. Default true. */
  readonly asked?: boolean | undefined
}

/**
 * An upstream did not give what was asked. On the wire it is 503 UNAVAILABLE, so that a client falls through to the
 * next mirror; callers turn `unknown` and `denied` into the 404 of what they looked for.
 */
export class UpstreamError extends RegistryError {
  override readonly name = 'UpstreamError'
  readonly failure: UpstreamFailure
  readonly upstream: string
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly asked: boolean

  constructor(
    failure: UpstreamFailure,
    upstream: string,
    message: string,
    options: UpstreamErrorOptions = {},
  ) {
    super('UNAVAILABLE', message, { detail: `upstream ${upstream}: ${failure}`, cause: options.cause })
    this.failure = failure
    this.upstream = upstream
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
    this.asked = options.asked ?? true
  }

  /** Whether the same request may succeed soon, here or at another upstream. */
  get retryable(): boolean {
    return this.failure === 'unavailable' || this.failure === 'limited'
  }

  /** Whether the upstream said, as an answer, that this is not to be had. */
  get isAnswer(): boolean {
    return this.failure === 'unknown' || this.failure === 'denied'
  }
}
