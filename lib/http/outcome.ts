// What became of a request, known when its response closes: for the access log and for metrics, which therefore cannot
// disagree.
import type { Clock } from '../clock.ts'
import type { Context } from './context.ts'

export interface Outcome {
  /** As sent; 499 where the client left before the answer was complete. */
  readonly status: number
  readonly durationMs: number
  /** Bytes of the bodies. Where one has no declared length or broke off, what crossed the connection meanwhile. */
  readonly receivedBytes: number
  readonly sentBytes: number
}

export const statusClientGone = 499

/** Calls back once, when the response has been handed to the system or its connection is gone. */
export function whenClosed(ctx: Context, clock: Clock, report: (outcome: Outcome) => void): void {
  const { req, res } = ctx
  const count = countBytes(ctx)
  ctx.state.whenClosed(() => {
    const left = !res.writableFinished && res.errored === null
    const declaredSent = res.writableFinished ? bodyLength(ctx) : undefined
    const declaredReceived = req.complete ? requestLength(ctx) : undefined
    report({
      status: left ? statusClientGone : res.statusCode,
      durationMs: clock.now() - ctx.state.startedAtMs,
      receivedBytes: declaredReceived ?? count().received,
      sentBytes: declaredSent ?? count().sent,
    })
  })
}

interface Counting {
  readonly receivedBytes: number
  readonly sentBytes: number
}

/** What has crossed since: streams of HTTP/2 count their own bytes, as they share a connection. */
function countBytes({ req, res }: Context): () => { readonly received: number; readonly sent: number } {
  const [request, response] = [req as Partial<Counting>, res as Partial<Counting>]
  if (request.receivedBytes !== undefined) {
    return () => ({ received: request.receivedBytes ?? 0, sent: response.sentBytes ?? 0 })
  }
  const { socket } = req
  const { bytesRead, bytesWritten } = socket
  return () => ({ received: socket.bytesRead - bytesRead, sent: socket.bytesWritten - bytesWritten })
}

function bodyLength(ctx: Context): number | undefined {
  if (ctx.method === 'HEAD' || ctx.status === 204 || ctx.status === 304) return 0
  const length = ctx.res.getHeader('content-length')
  return length === undefined ? undefined : Number(length)
}

function requestLength({ req }: Context): number | undefined {
  const length = req.headers['content-length']
  if (length !== undefined) return Number(length)
  return req.headers['transfer-encoding'] === undefined ? 0 : undefined
}
