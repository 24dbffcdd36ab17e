// Innermost but one: nothing of an endpoint runs before the access it wants is granted.
import type { AccessController } from '../../auth/access-controller.ts'
import { credentialsOf, type Middleware } from '../context.ts'

/** Refuses what has no route, else asks `controller` for what the endpoint wants and runs it. */
export function authorizeAndHandle(controller: AccessController): Middleware {
  return async ctx => {
    const { match, signal } = ctx.state
    if (match.kind === 'refused') throw match.refuse()
    // distribution-spec, "Pulling manifests": says that the answer is that registry's, not our own.
    if (match.namespace !== undefined) ctx.set('OCI-Namespace', match.namespace)
    const wanted = match.access(ctx)
    if (wanted !== 'public') {
      ctx.state.grant = await controller.authorize(credentialsOf(ctx), wanted, { signal })
    }
    await match.handle(ctx)
  }
}
