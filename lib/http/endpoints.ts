// Every endpoint there is.
import type { AccessController } from '../auth/access-controller.ts'
import type { Logger } from '../log.ts'
import type { Registry } from '../registry/registry.ts'
import { RegistryError } from '../oci/errors.ts'
import { access as needs, isRepositoryEndpoint, type Endpoint, type RepositoryEndpoint } from './endpoint.ts'
import type { RequestEvents } from './events.ts'
import type { Address } from './router.ts'
import type { UrlBuilder } from './url-builder.ts'
import { baseEndpoints } from './v2/base.ts'
import { blobEndpoints } from './v2/blobs.ts'
import { catalogEndpoints } from './v2/catalog.ts'
import { manifestEndpoints } from './v2/manifests.ts'
import { referrerEndpoints } from './v2/referrers.ts'
import { tagEndpoints } from './v2/tags.ts'
import { createUploadState } from './v2/upload-state.ts'
import { uploadEndpoints } from './v2/uploads.ts'

export interface EndpointDeps {
  readonly registry: Registry
  readonly urls: UrlBuilder
  readonly access: AccessController
  readonly address: Address
  /** undefined: nobody wants to hear of anything. */
  readonly events?: RequestEvents | undefined
  readonly logger: Logger
  readonly settings: {
    readonly secret: string | Buffer
    readonly maxTags: number
    readonly maxCatalogEntries: number
  }
}

export function createEndpoints({
  registry,
  urls,
  access,
  address,
  events,
  logger,
  settings,
}: EndpointDeps): readonly Endpoint[] {
  const uploadState = createUploadState(settings.secret)
  return [
    ...baseEndpoints,
    ...catalogEndpoints({ registry, maxEntries: settings.maxCatalogEntries }),
    ...tagEndpoints({ registry, maxTags: settings.maxTags }),
    ...manifestEndpoints({ registry, urls, events }),
    ...blobEndpoints({ registry, events }),
    ...referrerEndpoints({ registry }),
    ...uploadEndpoints({ registry, urls, uploadState, access, address, events, logger }),
  ]
}

/**
 * Without all that write. Their paths stay, so that they are refused as methods, with 405: one that is only written to
 * has nothing to read, and says so.
 */
export function readingAlone(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const reading = endpoints.filter(endpoint => endpoint.method === 'GET')
  const isRead = (path: string) => reading.some(endpoint => endpoint.path === path)
  const emptied = endpoints.filter(isRepositoryEndpoint).filter(({ path }) => !isRead(path))
  return [...reading, ...emptied.map(nothingToRead)]
}

function nothingToRead(endpoint: RepositoryEndpoint): RepositoryEndpoint {
  return {
    ...endpoint,
    method: 'GET',
    access: needs.pull,
    handle: () => Promise.reject(new RegistryError('BLOB_UPLOAD_UNKNOWN', 'Cannot read uploads: name one')),
  }
}
