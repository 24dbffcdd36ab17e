// The two paths that tell a client whom it talks to: `/v2/`, where it tries its credentials, and `/`, for probes.
import { aliveDescription, baseDescription } from '../api/base.ts'
import { answerEmpty, type Context } from '../context.ts'
import type { RegistryEndpoint } from '../endpoint.ts'

export const baseEndpoints: readonly RegistryEndpoint[] = [
  {
    name: 'alive',
    method: 'GET',
    path: '/',
    describe: aliveDescription,
    access: () => 'public',
    handle: answerAlive,
  },
  {
    name: 'base',
    method: 'GET',
    path: '/v2/',
    describe: baseDescription,
    access: () => [],
    handle: answerBase,
  },
]

async function answerAlive(ctx: Context): Promise<void> {
  ctx.set('Cache-Control', 'no-cache')
  answerEmpty(ctx, 200)
}

async function answerBase(ctx: Context): Promise<void> {
  ctx.set('Content-Type', 'application/json')
  ctx.body = '{}'
}
