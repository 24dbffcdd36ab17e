// Answers that come bit by bit: a JSON value a line (application/x-ndjson), each sent as soon as there is one. What goes
// wrong after the first line is a last line that has `errors`, as the body of an error has.
import type Koa from 'koa'
import { writeTo } from '../../streams/content-reader.ts'

export interface SendLinesOptions {
  /** Aborted when the client has left. */
  readonly signal: AbortSignal
  /** The error's line. */
  readonly describe: (err: unknown) => object
}

/** Resolves when all has been sent; rejects with what failed before the first line, or because the client has left. */
export async function sendLines(
  ctx: Koa.Context,
  values: AsyncIterable<object>,
  { signal, describe }: SendLinesOptions,
): Promise<void> {
  const begin = () => {
    if (ctx.headerSent) return
    ctx.status = 200
    ctx.set({ 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' })
    ctx.respond = false
    ctx.flushHeaders()
  }
  const send = (value: object) => writeTo(ctx.res, Buffer.from(`${JSON.stringify(value)}\n`), signal)
  try {
    for await (const value of values) {
      begin()
      await send(value)
    }
  } catch (err) {
    if (!ctx.headerSent || signal.aborted || ctx.res.destroyed) throw err
    await send(describe(err))
  }
  begin()
  ctx.res.end()
}
