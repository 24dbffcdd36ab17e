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
  const { socket } = req
  const sentBefore = socket.bytesWritten
  const receivedBefore = socket.bytesRead
  ctx.state.whenClosed(() => {
    const left = !res.writableFinished && res.errored === null
    const declaredSent = res.writableFinished ? bodyLength(ctx) : undefined
    const declaredReceived = req.complete ? requestLength(ctx) : undefined
    report({
      status: left ? statusClientGone : res.statusCode,
      durationMs: clock.now() - ctx.state.startedAtMs,
      receivedBytes: declaredReceived ?? socket.bytesRead - receivedBefore,
      sentBytes: declaredSent ?? socket.bytesWritten - sentBefore,
    })
  })
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
