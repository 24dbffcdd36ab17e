import t from 'tap'
import type { Context } from '../../lib/http/context.ts'
import type { Endpoint, Params } from '../../lib/http/endpoint.ts'
import { createRouter, type Router } from '../../lib/http/router.ts'
import { noDescription } from '../support/no-description.ts'

/** Where a request goes: `endpoint name argument`, or the status it is refused with. */
async function route(router: Router, method: string, path: string): Promise<string> {
  const match = router.match(method, path)
  if (match.kind === 'refused') {
    const { status, code, headers } = match.refuse()
    return [status, code, headers['Allow']].filter(part => part !== undefined).join(' ')
  }
  const ctx = { state: { reached: '' } } as unknown as Context
  await match.handle(ctx)
  return `${match.name}${(ctx.state as unknown as { reached: string }).reached}`
}

function endpoint(name: string, method: Endpoint['method'], path: string): Endpoint {
  return {
    name,
    method,
    path,
    describe: noDescription,
    access: () => 'public' as const,
    handle: async (ctx: Context, params?: Params) => {
      if (params !== undefined)
        Object.assign(ctx.state, { reached: ` ${params.name} ${params.argument}`.trimEnd() })
    },
  }
}

const endpoints = [
  endpoint('alive', 'GET', '/'),
  endpoint('base', 'GET', '/v2/'),
  endpoint('catalog', 'GET', '/v2/_catalog'),
  endpoint('tags', 'GET', '/v2/*name/tags/list'),
  endpoint('manifest', 'GET', '/v2/*name/manifests/:reference'),
  endpoint('manifest', 'PUT', '/v2/*name/manifests/:reference'),
  endpoint('manifest', 'DELETE', '/v2/*name/manifests/:reference'),
  endpoint('blob', 'GET', '/v2/*name/blobs/:digest'),
  endpoint('upload', 'POST', '/v2/*name/blobs/uploads/'),
  endpoint('session', 'PATCH', '/v2/*name/blobs/uploads/:id'),
]

t.test('Router.match() refuses what is not an endpoint', async t => {
  const router = createRouter(endpoints, '')
  const table: readonly (readonly [method: string, path: string, expected: string])[] = [
    ['GET', '/v1/', '404 NAME_UNKNOWN'],
    ['GET', '/v2/foo', '404 NAME_UNKNOWN'],
    ['GET', '/v2/foo/', '404 NAME_UNKNOWN'],
    ['GET', '/v2/foo/manifests/', '404 NAME_UNKNOWN'],
    ['GET', '/v2/foo/manifests', '404 NAME_UNKNOWN'],
    ['GET', '/v2/manifests/latest', '404 NAME_UNKNOWN'],
    ['GET', '/v2//manifests/latest', '404 NAME_INVALID'],
    ['GET', '/v2/foo//manifests/latest', '404 NAME_INVALID'],
    ['GET', '/v2/foo/manifests//latest', '404 NAME_UNKNOWN'],
    ['GET', '/v2/../manifests/latest', '404 NAME_INVALID'],
    ['GET', '/v2/a/../b/manifests/latest', '404 NAME_INVALID'],
    ['GET', '/v2/a%2F..%2Fb/manifests/latest', '404 NAME_INVALID'],
    ['GET', '/v2/A/manifests/latest', '404 NAME_INVALID'],
    ['GET', '/v2/a\u0000b/manifests/latest', '404 NAME_INVALID'],
    ['GET', '/v2/a%0d%0ab/manifests/latest', '404 NAME_INVALID'],
    ['GET', `/v2/${'a'.repeat(256)}/manifests/latest`, '404 NAME_INVALID'],
    ['GET', '/v2/a%zz/manifests/latest', '400 NAME_INVALID'],
    ['GET', '/v2/%ff/manifests/latest', '400 NAME_INVALID'],
    ['GET', '/v2/foo/tags', '404 NAME_UNKNOWN'],
    ['GET', '/v2/foo/referrers/x', '404 NAME_UNKNOWN'],
    ['GET', '', '404 NAME_UNKNOWN'],
    ['POST', '/v2/', '405 UNSUPPORTED GET, HEAD'],
    ['PATCH', '/v2/foo/manifests/latest', '405 UNSUPPORTED DELETE, GET, HEAD, PUT'],
    ['GET', '/v2/foo/blobs/uploads/', '405 UNSUPPORTED POST'],
    ['GET', '/v2/foo/blobs/uploads/abc', '405 UNSUPPORTED PATCH'],
    ['BREW', '/v2/_catalog', '405 UNSUPPORTED GET, HEAD'],
  ]
  for (const [method, path, expected] of table) {
    t.equal(await route(router, method, path), expected, `${method} ${JSON.stringify(path.slice(0, 60))}`)
  }
})

t.test(
  'Router.match() finds endpoints, names that span slashes, and words of the grammar inside names',
  async t => {
    const router = createRouter(endpoints, '')
    const table: readonly (readonly [method: string, path: string, expected: string])[] = [
      ['GET', '/', 'alive'],
      ['GET', '/v2', 'base'],
      ['HEAD', '/v2/', 'base'],
      ['GET', '/v2/_catalog', 'catalog'],
      ['GET', '/v2/_catalog/', 'catalog'],
      ['GET', '/v2/a/b/c/tags/list', 'tags a/b/c'],
      ['GET', '/v2/a/b/c/tags/list/', 'tags a/b/c'],
      ['GET', '/v2/tags/list/tags/list', 'tags tags/list'],
      ['GET', '/v2/a%2Fb/manifests/latest', 'manifest a/b latest'],
      ['HEAD', '/v2/a/manifests/sha256:abc', 'manifest a sha256:abc'],
      ['GET', '/v2/a/manifests/sha256%3Aabc', 'manifest a sha256:abc'],
      ['PUT', '/v2/a/manifests/manifests/manifests', 'manifest a/manifests manifests'],
      ['GET', '/v2/a/blobs/b/manifests/c', 'manifest a/blobs/b c'],
      ['GET', '/v2/a/blobs/uploads/blobs/x', 'blob a/blobs/uploads x'],
      ['GET', '/v2/a/manifests/b/blobs/x', 'blob a/manifests/b x'],
      ['POST', '/v2/a/blobs/uploads/', 'upload a'],
      ['POST', '/v2/a/blobs/uploads', 'upload a'],
      ['POST', '/v2/blobs/uploads/blobs/uploads/', 'upload blobs/uploads'],
      ['PATCH', '/v2/a/blobs/uploads/123', 'session a 123'],
      ['PATCH', '/v2/a/blobs/uploads/uploads', 'session a uploads'],
    ]
    for (const [method, path, expected] of table) {
      t.equal(await route(router, method, path), expected, `${method} ${path}`)
    }
  },
)

t.test('Router.match() answers OPTIONS for every path that there is', async t => {
  const router = createRouter(endpoints, '')

  for (const path of ['/', '/v2/', '/v2/_catalog', '/v2/foo/manifests/latest', '/v2/foo/blobs/uploads/']) {
    const match = router.match('OPTIONS', path)
    t.match(match, { kind: 'endpoint', name: router.match('GET', path).name }, path)
  }
  t.equal(await route(router, 'OPTIONS', '/v2/A/manifests/latest'), '404 NAME_INVALID')
  t.equal(await route(router, 'OPTIONS', '/v3/'), '404 NAME_UNKNOWN')
})

t.test('Router.match() mounts everything but / below a prefix', async t => {
  const router = createRouter(endpoints, '/my/reg')

  t.equal(await route(router, 'GET', '/'), 'alive')
  t.equal(await route(router, 'GET', '/my/reg/v2/'), 'base')
  t.equal(await route(router, 'GET', '/my/reg/v2/a/b/manifests/c'), 'manifest a/b c')
  t.equal(await route(router, 'GET', '/v2/'), '404 NAME_UNKNOWN')
  t.equal(await route(router, 'GET', '/my/reg/'), '404 NAME_UNKNOWN')
  t.equal(await route(router, 'GET', '/v2/a/manifests/c'), '404 NAME_UNKNOWN')
})
