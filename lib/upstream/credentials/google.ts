// Credentials for Google's registries (gcr.io, *-docker.pkg.dev): an OAuth access token as the password of
// `oauth2accesstoken`, either of the service account that this machine runs as, from its metadata server, or of one
// whose key is in a file.
import * as z from 'zod'
import { UpstreamError } from '../errors.ts'
import type { Logger } from '../../log.ts'
import type { Credentials, CredentialSource } from './credential-source.ts'
import { exchange, type ExchangeDeps, type ExchangeRequest } from './exchange.ts'
import { signAssertion } from './google-key.ts'
import { keptCredentials } from './kept-credentials.ts'
import { perishable, type Perishable } from './renewed.ts'

export interface GoogleOptions extends ExchangeDeps {
  /** Of a service account, JSON as Google gives it out. Default: the metadata server is asked. */
  readonly keyFile?: string | undefined
  /** Default `http://metadata.google.internal`. */
  readonly metadataUrl?: URL | undefined
  readonly logger: Logger
}

const metadataPath = '/computeMetadata/v1/instance/service-accounts/default/token'
const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

const document = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]+$/),
  expires_in: z.number().positive(),
})

/** Gets an access token when one is wanted, and the next one in the last tenth of its life, in the background. */
export function googleCredentials(options: GoogleOptions): CredentialSource {
  return keptCredentials({ ...options, fetch: () => fetchAccessToken(options) })
}

async function fetchAccessToken(options: GoogleOptions): Promise<Perishable<Credentials>> {
  const { upstream, clock } = options
  const askedAtMs = clock.now()
  try {
    const { request, deps } = await prepare(options)
    const parsed = document.safeParse(await exchange(request, deps))
    if (!parsed.success) throw new Error(`Cannot ${request.action}: no token in the answer`)
    const credentials = { username: 'oauth2accesstoken', password: parsed.data.access_token }
    return perishable(credentials, askedAtMs, parsed.data.expires_in * 1000)
  } catch (err) {
    // Whatever it was, it says nothing about content: it must not pass for the registry's own answer.
    const message = err instanceof Error ? err.message : 'unknown error'
    throw new UpstreamError('unavailable', upstream, message, { asked: false })
  }
}

async function prepare(
  options: GoogleOptions,
): Promise<{ readonly request: ExchangeRequest; readonly deps: ExchangeDeps }> {
  const { upstream, keyFile, metadataUrl = 'http://metadata.google.internal', clock } = options
  if (keyFile === undefined) {
    const url = new URL(metadataPath, metadataUrl)
    const action = `get Google access token for "${upstream}"`
    // It is on this very machine's network: no proxy knows the way.
    return { request: { url, headers: { 'metadata-flavor': 'Google' }, action }, deps: { upstream, clock } }
  }
  const { assertion, url } = await signAssertion(keyFile, clock)
  const action = `get Google access token for "${upstream}" with key "${keyFile}"`
  return { request: { url, form: { grant_type: grantType, assertion }, action }, deps: options }
}
