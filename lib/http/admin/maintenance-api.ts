// The maintenance of a registry, on the debug listener: /admin/readonly, and what takes long, told line by line, at
// /admin/maintenance/garbage-collect and /admin/maintenance/scrub. Whoever leaves ends what was begun.
import type Koa from 'koa'
import * as z from 'zod'
import { describeError, type Logger } from '../../log.ts'
import { BusyError, type Maintenance } from '../../maintenance/maintenance.ts'
import { compilePattern } from '../../name-pattern.ts'
import { readBody, refuseForeign } from './admin-request.ts'
import { AdminError, adminErrorCodes } from './cache-admin.ts'
import { sendLines } from './send-lines.ts'

export interface MaintenanceApiDeps {
  readonly maintenance: Maintenance
  readonly logger: Logger
}

type Handle = (ctx: Koa.Context, signal: AbortSignal) => Promise<void>
type Methods = Readonly<Partial<Record<string, Handle>>>

const readOnlyBody = z.strictObject({ enabled: z.boolean() })
const collectBody = z.strictObject({
  dryRun: z.boolean().default(false),
  untagged: z.boolean().default(false),
  graceMs: z.int().nonnegative().default(3_600_000),
  concurrency: z.int().min(1).max(256).default(8),
  isVerbose: z.boolean().default(false),
})
const scrubBody = z.strictObject({
  repository: z.string().min(1).max(1024).refine(isPattern, 'not a pattern').optional(),
  bytesPerSecond: z.number().positive().optional(),
  dryRun: z.boolean().default(false),
  refetch: z.boolean().default(false),
})

/** Answers requests for its paths, and returns whether it was one. Never rejects. */
export function createMaintenanceApi({
  maintenance,
  logger,
}: MaintenanceApiDeps): (ctx: Koa.Context) => Promise<boolean> {
  const routes = routesOf(maintenance, logger)
  return async ctx => {
    const methods = routes.get(ctx.path)
    if (methods === undefined) return false
    const leaving = new AbortController()
    ctx.res.once('close', () => {
      if (!ctx.res.writableFinished) leaving.abort(new Error('Cannot answer: the client has left'))
    })
    try {
      refuseForeign(ctx)
      await find(methods, ctx)(ctx, leaving.signal)
    } catch (err) {
      if (leaving.signal.aborted) ctx.respond = false
      else if (ctx.headerSent) ctx.res.destroy()
      else refuse(ctx, err, logger)
    }
    return true
  }
}

function find(methods: Methods, ctx: Koa.Context): Handle {
  const handle = Object.hasOwn(methods, ctx.method) ? methods[ctx.method] : undefined
  if (handle !== undefined) return handle
  ctx.set('Allow', Object.keys(methods).join(', '))
  throw new AdminError('METHOD_NOT_ALLOWED', `Cannot ${ctx.method} this`)
}

function routesOf(maintenance: Maintenance, logger: Logger): ReadonlyMap<string, Methods> {
  const lines = (ctx: Koa.Context, signal: AbortSignal, events: AsyncIterable<object>) =>
    sendLines(ctx, events, { signal, describe: err => bodyOf(refusalOf(err, logger)) })
  const tellReadOnly = (ctx: Koa.Context) => answer(ctx, { enabled: maintenance.readOnly.isOn })
  return new Map<string, Methods>([
    [
      '/admin/readonly',
      {
        GET: async ctx => tellReadOnly(ctx),
        async POST(ctx) {
          const { enabled } = await readBody(ctx, readOnlyBody)
          maintenance.readOnly.turn(enabled)
          tellReadOnly(ctx)
        },
      },
    ],
    [
      '/admin/maintenance/garbage-collect',
      {
        async POST(ctx, signal) {
          const body = await readBody(ctx, collectBody)
          await lines(ctx, signal, maintenance.collect({ ...body, signal }))
        },
      },
    ],
    [
      '/admin/maintenance/scrub',
      {
        async POST(ctx, signal) {
          const body = await readBody(ctx, scrubBody)
          await lines(ctx, signal, maintenance.scrub({ ...body, signal }))
        },
      },
    ],
  ])
}

function isPattern(text: string): boolean {
  try {
    compilePattern(text)
    return true
  } catch {
    return false
  }
}

function answer(ctx: Koa.Context, value: object): void {
  ctx.set({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  ctx.body = `${JSON.stringify(value)}\n`
}

interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

function refusalOf(err: unknown, logger: Logger): Refusal {
  const message = describeError(err)
  if (err instanceof AdminError) return { status: adminErrorCodes[err.code], code: err.code, message }
  if (err instanceof BusyError) return { status: adminErrorCodes.BUSY, code: 'BUSY', message }
  logger.error({ err }, 'cannot answer maintenance request')
  return { status: 500, code: 'UNKNOWN', message }
}

function bodyOf({ code, message }: Refusal): object {
  return { errors: [{ code, message }] }
}

function refuse(ctx: Koa.Context, err: unknown, logger: Logger): void {
  const refusal = refusalOf(err, logger)
  answer(ctx, bodyOf(refusal))
  ctx.status = refusal.status
}
