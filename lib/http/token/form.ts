// The form that an OAuth2 request is: small, and each parameter once. Source: RFC 6749, 3.2.
import { essence } from '../../oci/media-types.ts'
import type { Context } from '../context.ts'
import { OAuthError } from './oauth-error.ts'

const maxBytes = 16 * 1024

/** Throws OAuthError. */
export async function readForm(ctx: Context): Promise<URLSearchParams> {
  if (essence(ctx.get('Content-Type')) !== 'application/x-www-form-urlencoded')
    throw new OAuthError('invalid_request', 'expected Content-Type application/x-www-form-urlencoded')
  const form = new URLSearchParams((await readBytes(ctx)).toString())
  const repeated = [...form.keys()].find(name => name !== 'scope' && form.getAll(name).length > 1)
  if (repeated !== undefined) throw new OAuthError('invalid_request', 'a parameter is there more than once')
  return form
}

async function readBytes(ctx: Context): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  // The connection must outlive a body that is too large, or nobody would learn why.
  for await (const chunk of ctx.req.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length
    if (bytes > maxBytes) {
      ctx.set('Connection', 'close')
      throw new OAuthError('invalid_request', `the body has more than ${maxBytes} bytes`, 413)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
