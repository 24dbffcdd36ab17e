// Innermost but one: nothing of an endpoint runs before the access it wants is granted.
import type { Access, AccessController, Grant } from '../../auth/access-controller.ts'
import { RegistryError } from '../../oci/errors.ts'
import { credentialsOf, type Context, type Middleware } from '../context.ts'

/** Refuses what has no route, else asks `controller` for what the endpoint wants and runs it. */
export function authorizeAndHandle(controller: AccessController): Middleware {
  return async ctx => {
    const { match } = ctx.state
    if (match.kind === 'refused') throw match.refuse()
    // distribution-spec, "Pulling manifests": says that the answer is that registry's, not our own.
    if (match.namespace !== undefined) ctx.set('OCI-Namespace', match.namespace)
    const wanted = match.access(ctx)
    if (wanted !== 'public') {
      ctx.state.grant = await grantOf(ctx, controller, wanted)
    }
    await match.handle(ctx)
  }
}

/** Who gets neither all that is wanted nor what suffices is refused all of it, so that a challenge names it all. */
async function grantOf(
  ctx: Context,
  controller: AccessController,
  wanted: readonly Access[],
): Promise<Grant> {
  const authorize = (some: readonly Access[]) =>
    controller.authorize(credentialsOf(ctx), some, { signal: ctx.state.signal })
  const needed = wanted.filter(({ isDispensable }) => isDispensable !== true)
  try {
    return await authorize(wanted)
  } catch (err) {
    if (needed.length === wanted.length || !(err instanceof RegistryError)) throw err
    const grant = await authorize(needed).catch(() => undefined)
    if (grant === undefined) throw err
    return grant
  }
}
