// Keeps the certificate of one name fresh: what the cache has is used, and renewed in good time. Another process that
// shares the cache may be first.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { CertificateCache } from './certificate-cache.ts'
import type { Obtain } from './obtain.ts'

const minute = 60_000
const hour = 60 * minute
const renewBeforeMs = 30 * 24 * hour
/** Of the time that a certificate is good for: short ones would be due from the first day. */
const renewBeforePart = 1 / 3
const lookEveryMs = hour
const firstRetryMs = minute
const longestRetryMs = 6 * hour

export interface RenewalDeps {
  readonly cache: CertificateCache
  readonly obtain: Obtain
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Calls `use` with each new certificate, and its key, until `signal` is aborted. Never rejects. */
export async function keepFresh(
  host: string,
  use: (pem: string, expiresAtMs: number) => void,
  { cache, obtain, clock, logger, signal }: RenewalDeps,
): Promise<void> {
  let inUse: string | undefined
  const isStopped = () => signal.aborted
  for (let failures = 0; !isStopped();) {
    let waitMs = lookEveryMs
    try {
      const kept = await cache.read(host)
      // One that is due is better than none; one that could not be kept is no reason to ask for another.
      if (inUse === undefined || !isDue(kept, clock.now())) take(kept)
      if (isDue(inUse, clock.now())) {
        const pem = await obtain(host)
        if (!take(pem))
          throw new Error('Cannot use certificate: the authority sent another than was asked for')
        logger.info({ host }, 'obtained certificate')
        await cache.write(host, pem)
      } else if (inUse !== undefined && inUse !== kept) await cache.write(host, inUse)
      failures = 0
    } catch (err) {
      if (isStopped()) return
      waitMs = retryAfter(failures++)
      logger.error({ err, host }, `cannot obtain certificate: trying again in ${waitMs / minute} minutes`)
    }
    await clock.sleep(waitMs, { signal }).catch(() => undefined)
  }

  /** Whether it can be used. */
  function take(pem: string | undefined): boolean {
    const validity = validityOf(pem)
    if (pem === undefined || validity === undefined) return false
    if (pem !== inUse && !isStopped()) use(pem, validity.untilMs)
    inUse = pem
    return true
  }
}

/** Whether it is time for another: there is none, it ends soon, or it is unusable. */
export function isDue(pem: string | undefined, nowMs: number): boolean {
  const validity = validityOf(pem)
  if (validity === undefined) return true
  const { fromMs, untilMs } = validity
  return untilMs - nowMs < Math.min(renewBeforeMs, (untilMs - fromMs) * renewBeforePart)
}

/** Authorities count failures, and refuse those who have had many. */
export function retryAfter(failuresBefore: number): number {
  return Math.min(firstRetryMs * 2 ** failuresBefore, longestRetryMs)
}

/** Epoch ms; undefined: there is no certificate, or it does not belong to the key before it. */
export function validityOf(pem = ''): { readonly fromMs: number; readonly untilMs: number } | undefined {
  const start = pem.indexOf('-----BEGIN CERTIFICATE-----')
  if (start === -1) return undefined
  try {
    const certificate = new X509Certificate(pem.slice(start))
    if (!certificate.checkPrivateKey(createPrivateKey(pem.slice(0, start)))) return undefined
    return { fromMs: Date.parse(certificate.validFrom), untilMs: Date.parse(certificate.validTo) }
  } catch {
    return undefined
  }
}
