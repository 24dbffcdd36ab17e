// Puts the middleware of the configuration around the driver that serves clients. It changes where clients are sent for
// blobs and nothing else, so that commands that work on the store itself do without it.
import type { Clock } from '../../clock.ts'
import type { StorageMiddlewareConfig } from '../../config/middleware.ts'
import type { Logger } from '../../log.ts'
import type { StorageDriver } from '../driver/driver.ts'
import { openCloudFront } from './cloudfront.ts'
import { redirecting } from './redirecting.ts'
import { rewriting } from './rewriting.ts'

export interface MiddlewareDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Where in its bucket the driver keeps `/`; '' where it begins. */
  readonly rootDirectory: string
}

/** `driver`, within the first of `middleware`, within the next. It is as openDriver() gives it: no call needs `this`. */
export async function withMiddleware(
  driver: StorageDriver,
  middleware: readonly StorageMiddlewareConfig[],
  deps: MiddlewareDeps,
): Promise<StorageDriver> {
  let outer = driver
  try {
    for (const config of middleware) outer = await wrap(outer, config, deps)
    return outer
  } catch (err) {
    await outer.close()
    throw err
  }
}

async function wrap(
  inner: StorageDriver,
  config: StorageMiddlewareConfig,
  deps: MiddlewareDeps,
): Promise<StorageDriver> {
  switch (config.name) {
    case 'redirect':
      return redirecting(inner, config)
    case 'rewrite':
      if (inner.redirectUrl === undefined)
        deps.logger.warn(`storage middleware "rewrite" has no effect: "${inner.name}" has no URLs to rewrite`)
      return rewriting(inner, config)
    case 'cloudfront':
      return await openCloudFront(inner, config, deps)
    default:
      return config satisfies never
  }
}
