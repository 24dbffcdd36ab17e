// Requests to the admin API, which asks for no credentials because only operators reach it. So does the browser of an
// operator, and with it any page that is open there: what a page could send on its own is refused.
//
// - What changes something needs `Content-Type: application/json`, which a form cannot send, and a script of another
//   origin only if we allowed it.
// - A request with an Origin must be of the host that it was sent to, and that an address or `localhost`: a name could
//   have been made to point to us by whoever owns it (DNS rebinding).
import { isIP } from 'node:net'
import type Koa from 'koa'
import type { z } from 'zod'
import { essence } from '../../oci/media-types.ts'
import { AdminError } from './cache-admin.ts'

const maxBodyBytes = 64 * 1024

/** Throws AdminError FOREIGN_ORIGIN. */
export function refuseForeign(ctx: Koa.Context): void {
  const { origin, host } = ctx.req.headers
  const isForeign = origin !== undefined && !isSame(origin, host)
  if (isForeign || ctx.get('Sec-Fetch-Site') === 'cross-site') {
    throw new AdminError(
      'FOREIGN_ORIGIN',
      'Cannot answer: the request was made by the page of another origin',
    )
  }
}

function isSame(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false
  const from = new URL(origin)
  const name = from.hostname.replace(/^\[(.*)\]$/, '$1')
  return from.host === host.toLowerCase() && (isIP(name) !== 0 || name === 'localhost')
}

/** The body as `schema` reads it. Throws AdminError for any other. */
export async function readBody<T>(ctx: Koa.Context, schema: z.ZodType<T>): Promise<T> {
  if (essence(ctx.get('Content-Type')) !== 'application/json') {
    throw new AdminError(
      'MEDIA_TYPE_UNSUPPORTED',
      'Cannot read request: expected Content-Type application/json',
    )
  }
  const parsed = schema.safeParse(parseJson(await readBytes(ctx)))
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new AdminError('REQUEST_INVALID', `Cannot read request: ${problems.join('; ')}`)
}

async function readBytes(ctx: Koa.Context): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  // The connection must outlive a body that is too large, or nobody would learn why.
  for await (const chunk of ctx.req.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length
    if (bytes > maxBodyBytes) {
      ctx.set('Connection', 'close')
      throw new AdminError('REQUEST_TOO_LARGE', `Cannot read request: larger than ${maxBodyBytes} bytes`)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (cause) {
    throw new AdminError('REQUEST_INVALID', 'Cannot read request: not JSON', { cause })
  }
}
