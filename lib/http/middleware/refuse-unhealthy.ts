// Serves nothing while a health check fails, whatever is asked for: load balancers look at `/` or `/v2/`.
import type { Middleware } from '../context.ts'
import { HttpError } from '../http-error.ts'

export function refuseUnhealthy(isFailing: () => boolean): Middleware {
  return (_ctx, next) => {
    if (!isFailing()) return next()
    throw new HttpError('UNAVAILABLE', 'Cannot serve request: a health check fails', {
      detail: 'health check failed: please see /debug/health',
    })
  }
}
