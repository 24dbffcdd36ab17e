// The upstream client in front of a fake upstream, with everything that tests look at: what it logged and counted.
import type { Test } from 'tap'
import type { Clock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { Credentials } from '../../lib/upstream/authenticate.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import type { UpstreamError, UpstreamFailure } from '../../lib/upstream/errors.ts'
import type { Timeouts } from '../../lib/upstream/transport.ts'
import type { UpstreamBody } from '../../lib/upstream/upstream.ts'
import { startFakeUpstream, type FakeUpstreamOptions } from './fake-upstream.ts'
import { ManualClock } from './manual-clock.ts'

export interface ClientOptions extends Omit<FakeUpstreamOptions, 'credentials'> {
  /** What the fake wants, and the client sends unless told otherwise. */
  readonly credentials?: Credentials
  readonly sent?: Credentials | undefined
  readonly timeouts?: Timeouts
  readonly url?: (url: URL) => URL
}

export async function startClient(t: Test, options: ClientOptions = {}) {
  const { sent = options.credentials, timeouts, url = same, ...behaviour } = options
  const fake = await startFakeUpstream(t, behaviour)
  const clock = new ManualClock()
  const metrics = createMetrics()
  const logLines: string[] = []
  const logger = silentLogger(line => logLines.push(line))
  const client = createUpstream({
    url: url(fake.url),
    credentials: sent,
    version: '1.2.3',
    timeouts,
    clock,
    logger,
    metrics,
  })
  t.teardown(() => client.close())
  return {
    fake,
    client,
    clock: clock satisfies Clock,
    logLines,
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
export function upstreamError(failure: UpstreamFailure, more: Partial<UpstreamError> = {}) {
  return { name: 'UpstreamError', failure, ...more }
}

function same(url: URL): URL {
  return url
}
