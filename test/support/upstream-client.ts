// The upstream client in front of a fake upstream, with everything that tests look at: what it logged and counted.
import type { Test } from 'tap'
import type { Clock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import type { Credentials, CredentialSource } from '../../lib/upstream/credentials/credential-source.ts'
import { staticCredentials } from '../../lib/upstream/credentials/static.ts'
import type { UpstreamError, UpstreamFailure } from '../../lib/upstream/errors.ts'
import type { UpstreamOptions } from '../../lib/upstream/upstream-options.ts'
import type { UpstreamBody } from '../../lib/upstream/upstream.ts'
import { startFakeUpstream, type FakeUpstreamOptions } from './fake-upstream.ts'
import { ManualClock } from './manual-clock.ts'

export interface ClientOptions extends Omit<FakeUpstreamOptions, 'credentials'> {
  /** What the fake wants, and the client sends unless told otherwise. */
  readonly credentials?: Credentials
  readonly sent?: Credentials | CredentialSource | undefined
  readonly timeouts?: UpstreamOptions['timeouts']
  readonly url?: (url: URL) => URL
  /** Everything else of the client; by default it tries nothing again, so that a test sees each answer by itself. */
  readonly upstream?: Partial<UpstreamOptions>
}

export async function startClient(t: Test, options: ClientOptions = {}) {
  const { sent = options.credentials, timeouts, url = same, upstream = {}, ...behaviour } = options
  const fake = await startFakeUpstream(t, behaviour)
  const clock = new ManualClock()
  const metrics = createMetrics()
  const logLines: string[] = []
  const logger = silentLogger(line => logLines.push(line))
  const client = createUpstream({
    url: url(fake.url),
    credentials: sent === undefined || 'get' in sent ? sent : staticCredentials(sent),
    version: '1.2.3',
    timeouts,
    retries: 0,
    clock,
    logger,
    metrics,
    ...upstream,
  })
  t.teardown(() => client.close())
  return {
    fake,
    client,
    clock: clock satisfies Clock,
    logLines,
    metrics,
    /** How many requests wait for a place, and how many were put once more. */
    async queued(): Promise<number> {
      return (await metrics.upstreamQueued.get()).values[0]?.value ?? 0
    },
    async retried(): Promise<number> {
      return (await metrics.upstreamRetries.get()).values[0]?.value ?? 0
    },
    /** Requests counted under an operation: code → number. */
    async counted(operation: string): Promise<Record<string, number>> {
      const { values } = await metrics.upstreamRequests.get()
      const mine = values.filter(({ labels }) => labels.operation === operation)
      return Object.fromEntries(mine.map(({ labels, value }) => [String(labels.code), value]))
    },
  }
}

/** A logger at its most talkative that writes to nobody else. */
export function silentLogger(write: (line: string) => void = () => {}) {
  return createLogger({ level: 'debug', formatter: 'json', fields: {}, write })
}

export async function readAll(body: UpstreamBody): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const batch of body) chunks.push(...batch)
  return Buffer.concat(chunks)
}

/** What t.rejects() has to find. */
export function upstreamError(
  failure: UpstreamFailure,
  more: Partial<Omit<UpstreamError, 'message'>> & { readonly message?: string | RegExp } = {},
) {
  return { name: 'UpstreamError', failure, ...more }
}

function same(url: URL): URL {
  return url
}
