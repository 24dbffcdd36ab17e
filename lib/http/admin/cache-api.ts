// The admin API of a mirror, below /admin/cache/ on the debug listener. JSON in and out; what is long comes as lines.
import type Koa from 'koa'
import * as z from 'zod'
import { describeError, type Logger } from '../../log.ts'
import { errorCodes, RegistryError } from '../../oci/errors.ts'
import { parseImageReference } from '../../oci/image-reference.ts'
import { parseWarmRequest } from '../../proxy/warm-request.ts'
import { readBody, refuseForeign } from './admin-request.ts'
import { AdminError, adminErrorCodes, type CacheAdmin } from './cache-admin.ts'
import { imageFilter } from './image-filter.ts'
import { sendLines } from './send-lines.ts'

export interface CacheApiDeps {
  /** undefined: this registry is no mirror, and everything is answered with NOT_A_MIRROR. */
  readonly cache: CacheAdmin | undefined
  readonly logger: Logger
}

export const cacheApiPath = '/admin/cache/'

type Handle = (ctx: Koa.Context, signal: AbortSignal) => Promise<void>
type Methods = Readonly<Partial<Record<string, Handle>>>

/** Warm-ups at a time, of all clients: each of them asks an upstream as a pull does. */
const maxWarmUps = 4

const text = z.string().min(1).max(1024)
const pinBody = z.strictObject({ pattern: text })
const purgeBody = z.strictObject({
  image: text,
  force: z.boolean().optional(),
  allTags: z.boolean().optional(),
})
const warmBody = z.strictObject({
  images: z.array(text).min(1),
  platforms: z.array(text).default([]),
  referrers: z.boolean().default(false),
})

/** Answers requests for paths below `cacheApiPath`. Never rejects. */
export function createCacheApi({ cache, logger }: CacheApiDeps): (ctx: Koa.Context) => Promise<void> {
  const routes = cache === undefined ? undefined : routesOf(cache, logger)
  return async ctx => {
    const leaving = new AbortController()
    ctx.res.once('close', () => {
      if (!ctx.res.writableFinished) leaving.abort(new Error('Cannot answer: the client has left'))
    })
    try {
      refuseForeign(ctx)
      await find(routes, ctx)(ctx, leaving.signal)
    } catch (err) {
      if (leaving.signal.aborted) ctx.respond = false
      else if (ctx.headerSent) ctx.res.destroy()
      else refuse(ctx, err, logger)
    }
  }
}

function find(routes: ReadonlyMap<string, Methods> | undefined, ctx: Koa.Context): Handle {
  if (routes === undefined)
    throw new AdminError('NOT_A_MIRROR', 'This registry mirrors nothing: its configuration has no proxy')
  const methods = routes.get(ctx.path.slice(cacheApiPath.length))
  if (methods === undefined) throw new AdminError('NOT_FOUND', `Cannot find "${ctx.path.slice(0, 200)}"`)
  const handle = Object.hasOwn(methods, ctx.method) ? methods[ctx.method] : undefined
  if (handle !== undefined) return handle
  ctx.set('Allow', Object.keys(methods).join(', '))
  throw new AdminError('METHOD_NOT_ALLOWED', `Cannot ${ctx.method} this`)
}

function routesOf(cache: CacheAdmin, logger: Logger): ReadonlyMap<string, Methods> {
  let warmUps = 0

  const lines = (ctx: Koa.Context, signal: AbortSignal, values: AsyncIterable<object>) =>
    sendLines(ctx, values, { signal, describe: err => bodyOf(refusalOf(err, logger)) })

  async function warm(ctx: Koa.Context, signal: AbortSignal): Promise<void> {
    const body = await readBody(ctx, warmBody)
    const request = parsed(() => parseWarmRequest(body))
    if (warmUps >= maxWarmUps) {
      throw new AdminError('TOO_MANY_WARM_UPS', `Cannot warm: ${maxWarmUps} warm-ups are going on`)
    }
    warmUps++
    try {
      await lines(ctx, signal, cache.warm(request, { signal }))
    } finally {
      warmUps--
    }
  }

  async function pin(ctx: Koa.Context, signal: AbortSignal): Promise<void> {
    const { pattern } = await readBody(ctx, pinBody)
    try {
      await cache.pin(pattern, { signal })
    } catch (err) {
      throw err instanceof SyntaxError || err instanceof RangeError ? invalid(err) : err
    }
    ctx.status = 204
  }

  async function unpin(ctx: Koa.Context, signal: AbortSignal): Promise<void> {
    const { pattern } = await readBody(ctx, pinBody)
    if (!(await cache.unpin(pattern, { signal }))) {
      const pins = await cache.pins({ signal })
      throw pins.some(one => one.pattern === pattern)
        ? new AdminError('PIN_CONFIGURED', `Cannot unpin "${pattern}": it is pinned by the configuration`)
        : new AdminError('PIN_UNKNOWN', `Cannot unpin "${pattern}": it is not pinned`)
    }
    ctx.status = 204
  }

  return new Map<string, Methods>([
    ['stats', { GET: async (ctx, signal) => answer(ctx, await cache.stats({ signal })) }],
    [
      'images',
      {
        async GET(ctx, signal) {
          const pattern = queryValue(ctx, 'pattern')
          parsed(() => imageFilter({ pattern }))
          await lines(ctx, signal, cache.list({ pattern }, { signal }))
        },
      },
    ],
    ['du', { GET: async (ctx, signal) => answer(ctx, await cache.du({ signal })) }],
    ['fills', { GET: async (ctx, signal) => answer(ctx, { fills: await cache.fills({ signal }) }) }],
    [
      'pins',
      {
        GET: async (ctx, signal) => answer(ctx, { pins: await cache.pins({ signal }) }),
        PUT: pin,
        DELETE: unpin,
      },
    ],
    [
      'explain',
      {
        async GET(ctx, signal) {
          const image = queryValue(ctx, 'image')
          if (image === undefined)
            throw new AdminError('REQUEST_INVALID', 'Cannot explain: expected ?image=…')
          answer(ctx, await cache.explain(parseImageReference(image), { signal }))
        },
      },
    ],
    [
      'purge',
      {
        async POST(ctx, signal) {
          const { image, ...choice } = await readBody(ctx, purgeBody)
          answer(ctx, await cache.purge(parseImageReference(image), { ...choice, signal }))
        },
      },
    ],
    ['warm', { POST: warm }],
  ])
}

function answer(ctx: Koa.Context, value: object): void {
  ctx.set({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  ctx.body = `${JSON.stringify(value)}\n`
}

function queryValue(ctx: Koa.Context, name: string): string | undefined {
  const value = ctx.query[name]
  return (typeof value === 'string' ? value : value?.[0]) || undefined
}

/** What is wrong with words that came with the request is the client's to mend. */
function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (err) {
    throw err instanceof SyntaxError ? invalid(err) : err
  }
}

function invalid(cause: Error): AdminError {
  return new AdminError('REQUEST_INVALID', cause.message, { cause })
}

interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

function refusalOf(err: unknown, logger: Logger): Refusal {
  const message = describeError(err)
  if (err instanceof AdminError) return { status: adminErrorCodes[err.code], code: err.code, message }
  if (err instanceof RegistryError) return { status: errorCodes[err.code].status, code: err.code, message }
  logger.error({ err }, 'cannot answer admin request')
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
