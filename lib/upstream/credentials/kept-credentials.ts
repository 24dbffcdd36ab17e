// Credentials that somebody hands out for a while (a program, a cloud provider), kept meanwhile and renewed in time.
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import { isSameCredentials, type Credentials, type CredentialSource } from './credential-source.ts'
import { pauseMs, Renewed, type Perishable } from './renewed.ts'

export interface KeptCredentialsOptions {
  /** Name of the upstream. */
  readonly upstream: string
  readonly clock: Clock
  readonly logger: Logger
  /** Has to end by itself. What it throws reaches callers, and again for a pause of seconds. */
  readonly fetch: () => Promise<Perishable<Credentials | undefined>>
}

/** The same credentials for every repository; refused ones are replaced, but not more often than every 5 s. */
export function keptCredentials({
  upstream,
  clock,
  logger,
  fetch,
}: KeptCredentialsOptions): CredentialSource {
  const renewed = new Renewed({
    fetch,
    clock,
    isFinal: () => true,
    onLate: err =>
      logger.warn({ upstream, err }, 'cannot renew credentials: going on with those that are kept'),
    dropAfterMs: pauseMs,
  })
  return {
    get: async (_repository, options) => (await renewed.get(options)).value,
    refused: credentials => renewed.drop(kept => kept !== undefined && isSameCredentials(kept, credentials)),
  }
}
