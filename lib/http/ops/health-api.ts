// Health on the debug listener: how we are (/debug/health), whether to send requests here (/debug/ready), whether the
// process is alive (/debug/live), and an operator's switch (/debug/health/down and up).
import type Koa from 'koa'
import * as z from 'zod'
import { readBody, refuseForeign } from '../admin/admin-request.ts'
import { AdminError, adminErrorCodes } from '../admin/cache-admin.ts'
import type { Health } from './health.ts'

export interface HealthApiDeps {
  readonly health: Health
  readonly readiness: () => Promise<Readonly<Record<string, string>>>
}

const nothing = z.strictObject({})

/** Answers what is asked for, if it is one of these; resolves with whether it was. */
export function createHealthApi({
  health,
  readiness,
}: HealthApiDeps): (ctx: Koa.Context) => Promise<boolean> {
  return async ctx => {
    const isRead = ctx.method === 'GET' || ctx.method === 'HEAD'
    const { path, method } = ctx
    if (path === '/debug/health' && method === 'GET') answer(ctx, health.failing)
    else if (path === '/debug/ready' && isRead) answer(ctx, await readiness())
    else if (path === '/debug/live' && isRead) answer(ctx, {})
    else if (path === '/debug/health/down' && method === 'POST') await switched(ctx, () => health.takeDown())
    else if (path === '/debug/health/up' && method === 'POST') await switched(ctx, () => health.bringUp())
    else return false
    return true
  }
}

function answer(ctx: Koa.Context, failing: Readonly<Record<string, string>>): void {
  ctx.set({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  ctx.status = Object.keys(failing).length === 0 ? 200 : 503
  ctx.body = JSON.stringify(failing)
}

async function switched(ctx: Koa.Context, turn: () => void): Promise<void> {
  try {
    refuseForeign(ctx)
    await readBody(ctx, nothing)
  } catch (err) {
    if (!(err instanceof AdminError)) throw err
    ctx.set('Content-Type', 'application/json')
    ctx.status = adminErrorCodes[err.code]
    ctx.body = `${JSON.stringify({ errors: [{ code: err.code, message: err.message }] })}\n`
    return
  }
  turn()
  ctx.status = 204
}
