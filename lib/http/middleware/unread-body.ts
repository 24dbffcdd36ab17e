// Keeps a kept-alive connection in step when a request was answered before its body was read, as refusals are. Node
// reads and drops what is left of a body; that is right for a little, but a refused layer may be gigabytes. So
// beyond a bound the connection is closed after the answer. So it is where the client waits to be told that its body is
// wanted: whether one still comes, nobody can know.
import type { IncomingMessage } from 'node:http'
import type { Middleware } from '../context.ts'

const maxDroppedBytes = 64 * 1024

export const unreadBody: Middleware = async (ctx, next) => {
  await next()
  if (ctx.req.complete || ctx.headerSent) return
  const mayNotCome = ctx.req.headers.expect !== undefined
  if (mayNotCome || declaredBytes(ctx.req) > maxDroppedBytes) ctx.set('Connection', 'close')
}

function declaredBytes({ headers }: IncomingMessage): number {
  if (headers['transfer-encoding'] !== undefined) return Infinity
  return Number(headers['content-length'] ?? 0)
}
