// The fills of one process over a directory, before the real upstream client. A second one over the same directory is
// another process that shares it, or the next one after a crash.
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { Digest } from '../../lib/oci/digest.ts'
import { parseRepositoryName, type RepositoryName } from '../../lib/oci/repository-name.ts'
import type { Fill } from '../../lib/proxy/fill.ts'
import { Fills, type FillEvent } from '../../lib/proxy/fills.ts'
import { keepEverything, type Keeping } from '../../lib/proxy/keeping.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { PartialFills } from '../../lib/storage/partial-fills.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import type { FakeUpstream } from './fake-upstream.ts'
import { createStores, openTestDriver } from './stores.ts'

export const app = parseRepositoryName('team/app')

export interface FillProcessOptions {
  readonly upstream: FakeUpstream
  /** What bodies that are asked for from behind the first byte come from; default: `upstream`. */
  readonly laterUpstream?: FakeUpstream
  readonly root?: string
  readonly driver?: StorageDriver
  readonly clock?: Clock
  readonly keeping?: Pick<Keeping, 'makeRoom' | 'release'>
}

export async function startFillProcess(t: Test, options: FillProcessOptions) {
  const { clock = systemClock, keeping = keepEverything, upstream, laterUpstream = upstream } = options
  const driver =
    options.driver ?? (await openTestDriver(t, 'filesystem', { clock, root: options.root ?? t.testdir({}) }))
  const logLines: string[] = []
  const write = (line: string) => void logLines.push(line)
  const logger = createLogger({ level: 'debug', formatter: 'json', fields: {}, write })
  const stores = createStores(driver, { clock })
  const partials = new PartialFills({ driver, blobs: stores.blobs, clock })
  const events: FillEvent[] = []
  const observe = (event: FillEvent) => void events.push(event)
  const fills = new Fills({ blobs: stores.blobs, keeping, partials, clock, logger, observe })
  const [client, laterClient] = [connect(upstream), connect(laterUpstream)]

  function connect({ url }: FakeUpstream) {
    return createUpstream({ url, clock, logger, metrics: createMetrics(), version: 'test', retries: 0 })
  }

  t.teardown(async () => {
    await fills.drain(0)
    await client.close()
    await laterClient.close()
  })

  function join(
    digest: Digest,
    claim: { readonly name?: RepositoryName; readonly pushed?: boolean } = {},
  ): Promise<Fill> {
    const { name = app, pushed } = claim
    return fills.join(digest, {
      upstream: client.name,
      mayUseKept: true,
      open: (start, signal) => (start === 0 ? client : laterClient).openBlob(name, digest, { start, signal }),
      claim: { name, pushed, link: () => stores.links.link(name, 'layer', digest) },
    })
  }

  return {
    driver,
    stores,
    partials,
    fills,
    events,
    logLines,
    join,
    /** Joins and reads all of it; rejects with what its reader gets. */
    async pull(digest: Digest): Promise<Buffer> {
      const fill = await join(digest)
      const stream = await fill.read()
      if (stream === undefined) throw new Error('expected a stream')
      try {
        return await buffer(stream)
      } finally {
        await fill.settled
      }
    },
  }
}

/** What of requests for blobs says where they begin, in their order. */
export function rangesAsked(upstream: FakeUpstream): readonly (string | undefined)[] {
  return upstream.requests.filter(({ method }) => method === 'GET').map(({ headers }) => headers.range)
}

export function lastByteAltered(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])])
}
