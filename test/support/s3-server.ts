// An S3 server in this process, for tests: s3rver on a port of its own. It has neither copies of parts nor a list of
// unfinished uploads; what needs those is tested against Ceph (test/e2e/s3.e2e.sh).
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { s3Section, type S3Config } from '../../lib/storage/driver/s3/config.ts'

type StartS3rver = (
  directory: string,
  bucket: string,
) => Promise<{ readonly port: number; close(): Promise<void> }>

interface Parameters {
  readonly rootdirectory?: string
  readonly [key: string]: unknown
}

export interface S3Server {
  readonly endpoint: string
  /** The driver's parameters for a bucket of it, as in a configuration file. */
  parameters(more?: Parameters): object
  /** The same, parsed. */
  config(more?: Parameters): S3Config
}

/**
 * Its bucket is called `registry`; what it holds goes with the test. Where REGION_ENDPOINT is set it is that server
 * instead (make test-s3), and each test has a root directory of its own there.
 */
export async function startS3Server(t: Test): Promise<S3Server> {
  const { REGION_ENDPOINT: given, S3_BUCKET: bucket, AWS_ACCESS_KEY, AWS_SECRET_KEY } = process.env
  if (given !== undefined) {
    return serverAt(
      given,
      { bucket, accesskey: AWS_ACCESS_KEY, secretkey: AWS_SECRET_KEY },
      `test-${randomUUID()}`,
    )
  }
  // Not a program of TypeScript: it runs by itself, too, for make start-s3-storage.
  const { startS3rver } = (await import(new URL('s3rver.mjs', import.meta.url).href)) as {
    readonly startS3rver: StartS3rver
  }
  const server = await startS3rver(t.testdir({}), 'registry')
  t.teardown(() => server.close())
  const credentials = { bucket: 'registry', accesskey: 'distribution', secretkey: 'password' }
  return serverAt(`http://127.0.0.1:${server.port}`, credentials, '')
}

function serverAt(endpoint: string, credentials: object, root: string): S3Server {
  const parameters = ({ rootdirectory = '', ...more }: Parameters = {}) => ({
    regionendpoint: endpoint,
    region: 'us-east-1',
    ...credentials,
    rootdirectory: root + rootdirectory,
    ...more,
  })
  const config = (more?: Parameters) => {
    const parsed = s3Section.schema.parse(parameters(more))
    Object.freeze(parsed.credentials) // As the loader of the configuration does.
    return Object.freeze(parsed)
  }
  return { endpoint, parameters, config }
}
