// Every endpoint there is.
import type { AccessController } from '../auth/access-controller.ts'
import type { Logger } from '../log.ts'
import type { Registry } from '../registry/registry.ts'
import type { Endpoint } from './endpoint.ts'
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
  readonly logger: Logger
  readonly settings: {
    readonly secret: string | Buffer
    readonly readOnly: boolean
    readonly maxTags: number
    readonly maxCatalogEntries: number
  }
}

export function createEndpoints({
  registry,
  urls,
  access,
  address,
  logger,
  settings,
}: EndpointDeps): readonly Endpoint[] {
  const uploadState = createUploadState(settings.secret)
  const all: readonly Endpoint[] = [
    ...baseEndpoints,
    ...catalogEndpoints({ registry, maxEntries: settings.maxCatalogEntries }),
    ...tagEndpoints({ registry, maxTags: settings.maxTags }),
    ...manifestEndpoints({ registry, urls }),
    ...blobEndpoints({ registry }),
    ...referrerEndpoints({ registry }),
    ...uploadEndpoints({ registry, urls, uploadState, access, address, logger }),
  ]
  return settings.readOnly ? all.filter(endpoint => endpoint.method === 'GET') : all
}
