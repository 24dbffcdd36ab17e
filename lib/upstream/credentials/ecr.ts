// Credentials for a private registry of Amazon ECR: a password for some twelve hours, from GetAuthorizationToken of
// the AWS SDK, which is loaded when the first one is wanted. ECR Public needs none of this: its anonymous tokens do.
import * as z from 'zod'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import { UpstreamError } from '../errors.ts'
import type { Credentials, CredentialSource } from './credential-source.ts'
import { keptCredentials } from './kept-credentials.ts'
import type { Perishable } from './renewed.ts'

export interface EcrOptions {
  /** Name of the upstream. */
  readonly upstream: string
  readonly region: string
  /** Default: the SDK's chain (environment, shared files, web identity, container and instance metadata). */
  readonly keys?: AwsKeys | undefined
  /** Of the ECR API, in place of Amazon's. */
  readonly endpoint?: URL | undefined
  readonly clock: Clock
  readonly logger: Logger
}

export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

const deadlineMs = 30_000
/** What Amazon documents; its answers say so themselves. */
const usualLifeMs = 12 * 3_600_000
/** Of twelve hours, the twelfth is left for trying again. */
const renewedAfter = 11 / 12

const hosts = [
  /^\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|c2s\.ic\.gov|sc2s\.sgov\.gov)$/,
  /^\d{12}\.dkr-ecr(?:-fips)?\.([a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.com\.cn)$/,
]

/** The region in the name of an ECR registry's host; undefined for other hosts. */
export function ecrRegion(hostname: string): string | undefined {
  return hosts.map(host => host.exec(hostname)?.[1]).find(region => region !== undefined)
}

/** Gets a password when one is wanted, and the next one at 11/12 of its life, in the background. */
export function ecrCredentials(options: EcrOptions): CredentialSource {
  return keptCredentials({ ...options, fetch: () => fetchPassword(options) })
}

async function fetchPassword(options: EcrOptions): Promise<Perishable<Credentials>> {
  const { upstream, region, clock } = options
  const askedAtMs = clock.now()
  const { authorizationToken, expiresAt } = await getAuthorizationToken(options)
  const credentials = parseAuthorization(authorizationToken)
  if (credentials === undefined) {
    const message = `Cannot get credentials for "${upstream}" from Amazon ECR in "${region}": none in the answer`
    throw new UpstreamError('unavailable', upstream, message, { asked: false })
  }
  const endsAtMs = expiresAt?.getTime() ?? askedAtMs + usualLifeMs
  return { value: credentials, renewAtMs: askedAtMs + (endsAtMs - askedAtMs) * renewedAfter, endsAtMs }
}

const authorization = z.object({
  authorizationToken: z.string().optional(),
  expiresAt: z.date().optional(),
})

/** Says no more of a failure than its name: the SDK's messages quote what was signed and what was answered. */
async function getAuthorizationToken({ upstream, region, keys, endpoint }: EcrOptions) {
  const { ECRClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr')
  const client = new ECRClient({
    region,
    ...(keys === undefined ? {} : { credentials: keys }),
    ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
  })
  try {
    const command = new GetAuthorizationTokenCommand({})
    const answer = await client.send(command, { abortSignal: AbortSignal.timeout(deadlineMs) })
    return authorization.parse(answer.authorizationData?.[0] ?? {})
  } catch (err) {
    const message = `Cannot get credentials for "${upstream}" from Amazon ECR in "${region}": ${reasonOf(err)}`
    throw new UpstreamError('unavailable', upstream, message, { asked: false })
  } finally {
    client.destroy()
  }
}

/** `AWS:<password>` in base64. */
function parseAuthorization(token: string | undefined): Credentials | undefined {
  const text = Buffer.from(token ?? '', 'base64').toString('utf8')
  const [, username, password] = /^([^:]+):(.+)$/.exec(text) ?? []
  return username === undefined || password === undefined ? undefined : { username, password }
}

function reasonOf(err: unknown): string {
  if (!(err instanceof Error)) return 'unknown error'
  return 'code' in err && typeof err.code === 'string' ? err.code : err.name
}
