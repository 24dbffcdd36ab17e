// The public keys, for registries that read our tokens.
import { publishedForMs } from '../../auth/token-service/key-ring.ts'
import type { TokenService } from '../../auth/token-service/token-service.ts'
import type { Context } from '../context.ts'

export async function answerKeys(ctx: Context, tokenService: TokenService): Promise<void> {
  const keys = await tokenService.publicKeys()
  ctx.set('Cache-Control', `public, max-age=${publishedForMs / 1000}`)
  ctx.set('Content-Type', 'application/jwk-set+json')
  ctx.body = JSON.stringify(keys)
}
