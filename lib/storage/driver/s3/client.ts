// The client of the SDK, made from our configuration.
import { S3Client } from '@aws-sdk/client-s3'
import type { Logger } from '../../../log.ts'
import type { S3Config } from './config.ts'

export interface ClientDeps {
  readonly logger?: Logger | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/** Each body that is read holds a socket; whoever comes after these waits. */
const maxSockets = 256
const connectionTimeoutMs = 10_000
const answerTimeoutMs = 120_000
const maxAttempts = 5

/** `endpoint` instead of the configured one. The caller destroys the client. */
export function createClient(config: S3Config, deps: ClientDeps, endpoint = config.endpoint): S3Client {
  const credentials = config.credentials ?? olderCredentials(deps.env ?? {})
  const agent = { keepAlive: true, maxSockets }
  const isElsewhere = config.endpoint !== undefined
  const client = new S3Client({
    region: config.region,
    ...(endpoint !== undefined && { endpoint }),
    // A copy: the SDK adds to it, and our configuration is frozen.
    ...(credentials !== undefined && { credentials: { ...credentials } }),
    forcePathStyle: config.isPathStyle,
    useAccelerateEndpoint: config.isAccelerated,
    useDualstackEndpoint: config.isDualStack,
    useFipsEndpoint: config.isFips,
    ...(config.userAgent !== undefined && {
      customUserAgent: [[config.userAgent.replace(/[^\x21-\x7e]/g, '_')]],
    }),
    maxAttempts,
    retryMode: 'adaptive',
    // Other servers than AWS's refuse checksums that they do not know.
    requestChecksumCalculation: isElsewhere ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      httpAgent: agent,
      httpsAgent: { ...agent, rejectUnauthorized: config.isVerified },
      connectionTimeout: connectionTimeoutMs,
      socketTimeout: answerTimeoutMs,
    },
  })
  if (config.isLogged && deps.logger !== undefined) logCalls(client, deps.logger)
  return client
}

/** The SDK finds the newer names by itself, and much else. */
function olderCredentials(env: NonNullable<ClientDeps['env']>): S3Config['credentials'] {
  const { AWS_ACCESS_KEY: accessKeyId, AWS_SECRET_KEY: secretAccessKey } = env
  if (env['AWS_ACCESS_KEY_ID'] || !accessKeyId || !secretAccessKey) return undefined
  return { accessKeyId, secretAccessKey }
}

/** A line for each call: neither headers, which have signatures, nor bodies. */
function logCalls(client: S3Client, logger: Logger): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async args => {
        const { Key: key, Prefix: prefix } = args.input as { readonly Key?: string; readonly Prefix?: string }
        const call = {
          's3.command': commandName,
          ...(key !== undefined && { 's3.key': key }),
          ...(prefix !== undefined && { 's3.prefix': prefix }),
        }
        try {
          const result = await next(args)
          const { $metadata: { attempts, httpStatusCode: status } = {} } = result.output as SdkOutput
          logger.debug({ ...call, 's3.status': status, 's3.attempts': attempts }, 'S3 call')
          return result
        } catch (err) {
          const { name, $metadata: { attempts, httpStatusCode: status } = {} } = err as SdkOutput & Error
          logger.debug({ ...call, 's3.status': status, 's3.attempts': attempts, 's3.error': name }, 'S3 call')
          throw err
        }
      },
    { step: 'initialize', name: 'logCalls' },
  )
}

interface SdkOutput {
  readonly $metadata?: { readonly attempts?: number; readonly httpStatusCode?: number }
}
