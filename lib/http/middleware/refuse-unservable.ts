// Refuses what HTTP allows and nothing here can serve, whatever its path: each would otherwise be answered by Node in a
// form that registry clients cannot read, or a body would be stored as something that it is not.
import type { IncomingMessage } from 'node:http'
import type { Middleware } from '../context.ts'
import { HttpError } from '../http-error.ts'

export const refuseUnservable: Middleware = (ctx, next) => {
  const refusal = judge(ctx.req, ctx.originalUrl)
  if (refusal !== undefined) throw refusal
  return next()
}

/** Characters. The longest path that can exist has about 600, and parameters hardly more. */
const maxTargetLength = 8 * 1024

function judge(req: IncomingMessage, target: string): HttpError | undefined {
  const { expect, host, 'content-encoding': coding, 'transfer-encoding': framing } = req.headers
  const isHttp11 = req.httpVersion === '1.1'
  if (target.length > maxTargetLength)
    return refusal(414, `the URI has more than ${maxTargetLength} characters`)
  if (host === undefined && isHttp11) return refusal(400, 'the Host header is missing')
  // RFC 9110, 10.1.1: HTTP/1.0 knows no expectations.
  if (expect !== undefined && isHttp11 && expect.toLowerCase() !== '100-continue') {
    return refusal(417, 'only 100-continue can be expected')
  }
  if (framing !== undefined && framing.toLowerCase() !== 'chunked') {
    return refusal(501, 'the only transfer coding is chunked')
  }
  // Its digest would be that of other bytes. RFC 9110, 15.5.16: Accept-Encoding says what would have been taken.
  if (coding !== undefined && coding !== '' && coding.toLowerCase() !== 'identity' && hasContent(req)) {
    return refusal(415, 'content must be sent without a content coding', { 'Accept-Encoding': 'identity' })
  }
  return undefined
}

function hasContent({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function refusal(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): HttpError {
  return new HttpError('UNSUPPORTED', `Cannot serve request: ${detail}`, { status, detail, headers })
}
