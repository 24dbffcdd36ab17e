// One certificate from an authority (RFC 8555), by the challenge that needs no second port: TLS-ALPN-01 (RFC 8737).
import type { Authorization, Client, Order } from 'acme-client'
import type { Clock } from '../../clock.ts'
import type { AcmeConfig } from '../../config/config.ts'
import { SingleFlight } from '../../single-flight.ts'
import { loadAcme } from './authority.ts'
import type { CertificateCache } from './certificate-cache.ts'

/** Key, certificate and chain for `host`, PEM. Rejects where the authority refuses or does not answer. */
export type Obtain = (host: string) => Promise<string>

export interface ObtainDeps {
  readonly cache: CertificateCache
  readonly clock: Clock
  /** Ends the waiting for the authority. */
  readonly signal: AbortSignal
}

const alpn = 'tls-alpn-01'
const longestNameInSubject = 64
const firstLookMs = 1000
const longestLookMs = 10_000
const looksAtMost = 20

export function createObtain({ directoryurl, email }: AcmeConfig, deps: ObtainDeps): Obtain {
  const { cache, signal } = deps
  const flights = new SingleFlight()
  return async host => {
    const acme = await loadAcme()
    // Names that start together share the account.
    const account = () => flights.run('account', () => accountKey(cache, acme.crypto.createPrivateEcdsaKey))
    const client = new acme.Client({
      directoryUrl: directoryurl?.href ?? acme.directory.letsencrypt.production,
      accountKey: await account(),
    })
    await client.createAccount({
      termsOfServiceAgreed: true,
      ...(email !== '' && { contact: [`mailto:${email}`] }),
    })
    const ordered = await client.createOrder({ identifiers: [{ type: 'dns', value: host }] })
    const ready = await prove(host, ordered, client, deps)
    signal.throwIfAborted()
    const [key, csr] = await acme.crypto.createCsr(
      { altNames: [host], ...(host.length <= longestNameInSubject && { commonName: host }) },
      await acme.crypto.createPrivateEcdsaKey(),
    )
    const finalized = await client.finalizeOrder(ready, csr)
    const chain = await client.getCertificate(await reached('valid', finalized, client, deps))
    return `${key.toString().trimEnd()}\n${chain}`
  }
}

async function accountKey(cache: CertificateCache, create: () => Promise<Buffer>): Promise<string> {
  const known = await cache.readAccountKey()
  if (known !== undefined) return known
  const made = (await create()).toString()
  await cache.writeAccountKey(made)
  return made
}

/** The order, once the authority has seen that `host` is ours. */
async function prove(host: string, order: Order, client: Client, deps: ObtainDeps): Promise<Order> {
  try {
    for (const authorization of await client.getAuthorizations(order)) {
      if (authorization.status === 'pending') await accept(host, authorization, client, deps)
    }
    return await reached('ready', order, client, deps)
  } finally {
    await deps.cache.removeChallenge(host)
  }
}

async function accept(
  host: string,
  authorization: Authorization,
  client: Client,
  { cache }: ObtainDeps,
): Promise<void> {
  const challenge = authorization.challenges.find(({ type }: { readonly type: string }) => type === alpn)
  if (challenge === undefined) throw new Error(`Cannot prove "${host}": the authority offers no ${alpn}`)
  const { crypto } = await loadAcme()
  const keyAuthorization = await client.getChallengeKeyAuthorization(challenge)
  const made = await crypto.createAlpnCertificate(
    authorization,
    keyAuthorization,
    await crypto.createPrivateEcdsaKey(),
  )
  await cache.writeChallenge(host, made.map(String).join('\n'))
  await client.completeChallenge(challenge)
}

/** The order in the state that the next step needs. */
async function reached(
  wanted: Order['status'],
  order: Order,
  client: Client,
  { clock, signal }: ObtainDeps,
): Promise<Order> {
  let waitMs = firstLookMs
  for (let looks = 0; looks < looksAtMost; looks++) {
    const found = await client.getOrder(order)
    if (found.status === wanted) return found
    if (found.status === 'invalid') throw await refusalOf(found, client)
    await clock.sleep(waitMs, { signal })
    waitMs = Math.min(waitMs * 2, longestLookMs)
  }
  throw new Error(`Cannot wait for the authority any longer: the order is not yet ${wanted}`)
}

/** What the authority says is in the challenge or in the order. */
async function refusalOf(order: Order, client: Client): Promise<Error> {
  const authorizations = await client.getAuthorizations(order)
  const challenges = authorizations.flatMap(({ challenges }) => challenges)
  const errors = [...challenges, order].map(({ error }) => error as { readonly detail?: unknown } | undefined)
  const details = errors.map(error => error?.detail).filter(detail => typeof detail === 'string')
  return new Error(`Cannot obtain certificate: the order is invalid: ${details.join('; ').slice(0, 1000)}`)
}
