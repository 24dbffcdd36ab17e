// The addresses of AWS, which it publishes as JSON, fetched again now and then. As long as they cannot be had nobody
// counts as being inside, and what was fetched before goes on being good.
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import * as z from 'zod'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'

export interface IpRanges {
  /** Whether an address is in one of the ranges, as far as they are known. */
  has(address: string): boolean
  stop(): Promise<void>
}

export interface IpRangesOptions {
  readonly url: URL
  /** undefined: those of every region. */
  readonly regions: readonly string[] | undefined
  readonly everyMs: number
  readonly clock: Clock
  readonly logger: Logger
}

const maxBytes = 16 * 1024 * 1024
const timeoutMs = 60_000
/** After a failure; never longer than usual. */
const retryMs = 5 * 60_000
const document = z.object({
  prefixes: z.array(z.object({ ip_prefix: z.string(), region: z.string() })).default([]),
  ipv6_prefixes: z.array(z.object({ ipv6_prefix: z.string(), region: z.string() })).default([]),
})

export function startIpRanges(options: IpRangesOptions): IpRanges {
  const { url, everyMs, clock, logger } = options
  const stopped = new AbortController()
  const { signal } = stopped
  let list: BlockList | undefined

  async function keepUpToDate(): Promise<void> {
    for (;;) {
      let waitMs = everyMs
      try {
        list = await fetchRanges(options, signal)
      } catch (err) {
        if (signal.aborted) return
        logger.warn(
          { err, url: url.href },
          'cannot fetch the addresses of AWS: clients count as outside of it',
        )
        waitMs = Math.min(everyMs, retryMs)
      }
      await clock.sleep(waitMs, { signal }).catch(() => {})
    }
  }

  const running = keepUpToDate()
  return {
    has(address) {
      const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
      if (isIPv4(plain)) return list?.check(plain, 'ipv4') ?? false
      return isIPv6(plain) && (list?.check(plain, 'ipv6') ?? false)
    },
    async stop() {
      stopped.abort()
      await running
    },
  }
}

async function fetchRanges({ url, regions }: IpRangesOptions, stopped: AbortSignal): Promise<BlockList> {
  const answer = await fetch(url, { signal: AbortSignal.any([stopped, AbortSignal.timeout(timeoutMs)]) })
  if (!answer.ok) {
    await answer.body?.cancel()
    throw new Error(`Cannot fetch "${url.href}": answered ${answer.status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += (chunk as Uint8Array).length
    if (bytes > maxBytes) throw new Error(`Cannot read "${url.href}": longer than ${maxBytes} bytes`)
    chunks.push(chunk as Uint8Array)
  }
  const { prefixes, ipv6_prefixes } = document.parse(JSON.parse(Buffer.concat(chunks).toString()))
  const isWanted = (region: string) => regions === undefined || regions.includes(region)
  const list = new BlockList()
  for (const { ip_prefix: prefix, region } of prefixes) if (isWanted(region)) add(list, prefix, 'ipv4')
  for (const { ipv6_prefix: prefix, region } of ipv6_prefixes) if (isWanted(region)) add(list, prefix, 'ipv6')
  return list
}

function add(list: BlockList, prefix: string, family: 'ipv4' | 'ipv6'): void {
  const [address = '', length = ''] = prefix.split('/')
  const isAddress = family === 'ipv4' ? isIPv4(address) : isIPv6(address)
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : NaN
  if (!isAddress || !(bits >= 0 && bits <= (family === 'ipv4' ? 32 : 128)))
    throw new Error(`Cannot use "${prefix.slice(0, 100)}" as a range of addresses`)
  list.addSubnet(address, bits, family)
}
