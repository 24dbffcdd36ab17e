// Sends clients to a CloudFront distribution in front of the bucket, with URLs that are signed for a while. Clients
// inside AWS can be sent to the bucket itself, which costs less.
import { readFile } from 'node:fs/promises'
import type { CloudFrontConfig } from '../../config/middleware.ts'
import type { StorageDriver, StoragePath } from '../driver/driver.ts'
import type { MiddlewareDeps } from './apply.ts'
import { urlBelow } from './below.ts'
import { startIpRanges, type IpRanges } from './ip-ranges.ts'

/** Rejects if the key cannot be used. Closing the driver that it gives ends the fetching of addresses, too. */
export async function openCloudFront(
  inner: StorageDriver,
  config: CloudFrontConfig,
  { clock, logger, rootDirectory }: MiddlewareDeps,
): Promise<StorageDriver> {
  const { baseurl, durationMs, keypairid: keyPairId } = config
  const { getSignedUrl } = await import('@aws-sdk/cloudfront-signer')
  const privateKey = await readKey(config.privatekey)
  const sign = (path: StoragePath): URL => {
    const url = urlBelow(baseurl, `${rootDirectory}/${path}`).href
    return new URL(
      getSignedUrl({ url, keyPairId, privateKey, dateLessThan: new Date(clock.now() + durationMs) }),
    )
  }
  try {
    sign('/' as StoragePath)
  } catch (err) {
    throw new Error(`Cannot sign URLs with "${config.privatekey}": not a private key of RSA in PEM`, {
      cause: err,
    })
  }
  const { redirectUrl } = inner
  const ranges = redirectUrl === undefined ? undefined : rangesOf(config, { clock, logger })
  return {
    ...inner,
    redirectUrl: async (path, expiresMs, client) => {
      const isInside = client !== undefined && ranges?.has(client) === true
      return redirectUrl !== undefined && isInside ? redirectUrl(path, expiresMs, client) : sign(path)
    },
    async close() {
      await ranges?.stop()
      await inner.close()
    },
  }
}

function rangesOf(
  { ipfilteredby, awsregion, updatefrequencyMs, iprangesurl }: CloudFrontConfig,
  deps: Pick<MiddlewareDeps, 'clock' | 'logger'>,
): IpRanges | undefined {
  if (ipfilteredby === 'none') return undefined
  const regions = ipfilteredby === 'awsregion' ? awsregion : undefined
  return startIpRanges({ url: iprangesurl ?? awsRanges, regions, everyMs: updatefrequencyMs, ...deps })
}

const awsRanges = new URL('https://ip-ranges.amazonaws.com/ip-ranges.json')

async function readKey(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (err) {
    throw new Error(`Cannot read the private key "${path}" of the CloudFront middleware`, { cause: err })
  }
}
